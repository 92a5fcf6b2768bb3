import { describe, expect, it } from 'vitest';
import { ACTIONS, type PolicyAction, type PolicyInput } from '@entrepot/core';
import {
  createPolicy,
  type Policy,
  type PolicyDocument,
  type PolicyException,
  type PolicyRule,
} from '@entrepot/core/engine';
import { compileForTests, contentScanner, databaseOf, DAY, everything, inputs } from './fixtures.js';

const NOW = Date.UTC(2026, 0, 1);
const ROUNDS = 150;

/** Policies of some of all rules, with any action, each time other ones. */
const documents: readonly PolicyDocument[] = Array.from({ length: ROUNDS }, (_, round) => {
  const random = randomFrom(round);
  const rules = (everything.rules ?? [])
    .filter(() => random() < 0.3)
    .map((rule): PolicyRule => {
      const action = pick(random, ACTIONS);
      // Grace is for rules that refuse, overriding for those that allow.
      const { grace: _grace, override: _override, ...rest } = rule;
      return { ...rest, action };
    });
  return { version: 1, rules };
});

function policyOf(document: PolicyDocument, exceptions: readonly PolicyException[] = []): Policy {
  return createPolicy({
    document,
    exceptions: () => exceptions,
    scanners: [databaseOf(NOW), contentScanner],
    compileExpression: compileForTests,
  });
}

function forAll(check: (document: PolicyDocument, input: PolicyInput, random: () => number) => void): void {
  for (const [round, document] of documents.entries()) {
    const random = randomFrom(round + 1_000_000);
    for (const input of inputs(NOW)) check(document, input, random);
  }
}

describe('any policy', () => {
  it('lets the strongest rule decide, in whatever order they stand', () => {
    let refused = 0;
    forAll((document, input) => {
      const { action, rules } = policyOf(document).evaluate(input);
      expect(action).toBe(strongest(rules.map((rule) => rule.action)));
      const reversed = policyOf({ ...document, rules: [...(document.rules ?? [])].reverse() }).evaluate(input);
      expect(reversed.action).toBe(action);
      expect(new Set(reversed.rules.map(({ id }) => id))).toEqual(new Set(rules.map(({ id }) => id)));
      if (action === 'deny') refused += 1;
    });
    expect(refused).toBeGreaterThan(100);
  });

  it('refuses nothing in audit, and says then what it refuses when it is enforced', () => {
    let different = 0;
    forAll((document, input) => {
      const watched = policyOf({ ...document, mode: 'audit' }).evaluate(input);
      const enforced = policyOf(document).evaluate(input);
      expect(watched.action).toBe('allow');
      expect(watched.pending).toBeUndefined();
      expect(watched.wouldBe ?? watched.action).toBe(enforced.action);
      expect(watched.rules.map(({ id, wouldBe }) => `${id} ${wouldBe}`).sort()).toEqual(
        enforced.rules.map(({ id, action }) => `${id} ${action}`).sort(),
      );
      if (enforced.action !== 'allow') different += 1;
    });
    expect(different).toBeGreaterThan(100);
  });

  it('gets no weaker by one more rule, unless that overrides', () => {
    forAll((document, input, random) => {
      const before = policyOf(document).evaluate(input).action;
      const more = { id: 'one-more', when: { not: { deprecated: true } }, action: pick(random, ACTIONS) };
      const after = policyOf({ ...document, rules: [...(document.rules ?? []), more] }).evaluate(input).action;
      expect(ACTIONS.indexOf(after)).toBeLessThanOrEqual(ACTIONS.indexOf(before));
    });
  });

  it('gets no stronger by an exception, and is as before when that has expired', () => {
    let changed = 0;
    forAll((document, input, random) => {
      const exception: PolicyException = {
        id: 'e',
        scope: {},
        ...(random() < 0.5 && { advisories: ['CVE-1'] }),
        approvedBy: ['ann'],
        expiresAt: NOW + DAY,
        active: true,
      };
      const without = policyOf(document);
      const policy = policyOf(document, [exception]);
      const before = without.evaluate(input);
      const after = policy.evaluate(input);
      expect(ACTIONS.indexOf(after.action)).toBeGreaterThanOrEqual(ACTIONS.indexOf(before.action));
      if (after.action !== before.action) {
        changed += 1;
        expect(after.exceptions).toEqual(['e']);
        expect(after.nextChangeAt).toBeLessThanOrEqual(NOW + DAY);
      }
      const later = { ...input, now: NOW + DAY };
      expect(policy.evaluate(later).action).toBe(without.evaluate(later).action);
    });
    expect(changed).toBeGreaterThan(50);
  });

  it('explains what it decides', () => {
    forAll((document, input) => {
      const policy = policyOf(document);
      const fired = policy.explain(input).filter(({ state }) => state === 'fired');
      const { rules } = policy.evaluate(input);
      expect(fired.map(({ id }) => id).sort()).toEqual(rules.map(({ id }) => id).sort());
      expect(policy.explain(input)).toHaveLength((document.rules ?? []).length);
    });
  });
});

function strongest(actions: readonly PolicyAction[]): PolicyAction {
  return ACTIONS.find((action) => actions.includes(action)) ?? 'allow';
}

function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

/** The same numbers from 0 to 1 for the same seed (a linear congruence, Numerical Recipes). */
function randomFrom(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
