import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { PolicyDecision, PolicyEngine, PolicyInput } from '@entrepot/core';
import {
  createPolicy,
  type PolicyException,
  type PolicyOptions,
  type PolicyRule,
  resolvePolicy,
} from '@entrepot/core/engine';
import { policySuite, runSuite } from '@entrepot/core/testing';
import { databaseOf, inputs } from './fixtures.js';
import { NOW, printDecision, readCases, subjectOf } from './golden.js';

const folder = new URL('golden/', import.meta.url);
const cases = readdirSync(folder).flatMap((file) => readCases(readFileSync(new URL(file, folder), 'utf8')));

/** A way to be wrong: in what the policy is made from, what it is asked, or what it answers. */
interface Mutant {
  readonly options?: ((options: PolicyOptions) => PolicyOptions) | undefined;
  readonly input?: (input: PolicyInput) => PolicyInput;
  readonly decision?: (decision: PolicyDecision) => PolicyDecision;
}

const rules =
  (change: (rule: PolicyRule) => PolicyRule): Mutant['options'] =>
  (options) => {
    const { preset: _preset, ...document } = { ...options.document, ...resolvePolicy(options.document) };
    return { ...options, document: { ...document, rules: (document.rules ?? []).map(change) } };
  };

const exceptions =
  (change: (exception: PolicyException) => PolicyException): Mutant['options'] =>
  (options) => {
    const changed = (options.exceptions?.() ?? []).map(change);
    return { ...options, exceptions: () => changed };
  };

const withoutAliases: Mutant['options'] = (options) => ({
  ...options,
  scanners: options.scanners?.map(({ id, scanner }) => ({
    id,
    scanner: {
      ...scanner,
      ...(scanner.lookup && {
        lookup: (...asked: Parameters<NonNullable<typeof scanner.lookup>>) =>
          scanner.lookup?.(...asked)?.map((finding) => ({ ...finding, aliases: [] })),
      }),
    },
  })),
});

const mutants: Readonly<Record<string, Mutant>> = {
  'knows no exceptions': { options: (options) => ({ ...options, exceptions: () => [] }) },
  'lets exceptions live for ever': { options: exceptions((exception) => ({ ...exception, expiresAt: Infinity })) },
  'lets an exception live for its last instant': { input: (input) => ({ ...input, now: input.now - 1 }) },
  'takes exceptions that are switched off': { options: exceptions((exception) => ({ ...exception, active: true })) },
  'takes any exception for all': { options: exceptions((exception) => ({ ...exception, scope: {} })) },
  'takes an exception for all rules': { options: exceptions(({ rules: _rules, ...exception }) => exception) },
  'takes an exception for all advisories': { options: exceptions(({ advisories: _names, ...exception }) => exception) },
  'is content with one approver': { options: rules(({ exceptions: _asked, ...rule }) => rule) },
  'enforces what is only watched': {
    options: (options) => ({ ...options, document: { ...options.document, mode: 'enforce' } }),
  },
  'watches what is enforced': {
    options: (options) => ({ ...options, document: { ...options.document, mode: 'audit' } }),
  },
  'lets the last rule decide': {
    decision: (decision) => ({ ...decision, action: decision.rules.at(-1)?.action ?? 'allow' }),
  },
  'names one rule only': { decision: (decision) => ({ ...decision, rules: decision.rules.slice(0, 1) }) },
  'takes hold for hide': { options: rules((rule) => (rule.action === 'hold' ? { ...rule, action: 'hide' } : rule)) },
  'overrides nothing': { options: rules(({ override: _override, ...rule }) => rule) },
  'takes no report for a clean one': { input: (input) => ({ ...input, reports: input.reports ?? [] }) },
  'waits for nothing': { decision: ({ pending: _pending, ...decision }) => decision },
  'gives no grace': { options: rules(({ grace: _grace, ...rule }) => rule) },
  'gives grace to everybody': { input: (input) => ({ ...input, storedAt: 0 }) },
  'counts age from the first sight': {
    input: (input) => ({ ...input, facts: { ...input.facts, publishedAt: undefined } }),
  },
  'lets nobody off a cooldown': { options: rules(({ unless: _unless, ...rule }) => rule) },
  'takes aliases for others': { options: withoutAliases },
  'forgets failed scans': { input: (input) => ({ ...input, scanFailures: undefined }) },
  'takes hosted for proxied': { input: (input) => ({ ...input, repository: { ...input.repository, kind: 'proxy' } }) },
  'never says when it changes': { decision: ({ nextChangeAt: _at, ...decision }) => decision },
};

function wrong(options: PolicyOptions, mutant: Mutant): PolicyEngine {
  const policy = createPolicy(mutant.options?.(options) ?? options);
  return {
    revision: () => policy.revision(),
    needs: () => policy.needs(),
    evaluate: (input) => {
      const decision = policy.evaluate(mutant.input?.(input) ?? input);
      return mutant.decision?.(decision) ?? decision;
    },
  };
}

describe('the golden files', () => {
  it.each(Object.entries(mutants))('catch a policy that %s', (_name, mutant) => {
    const failed = cases.filter((golden) => {
      const { options, input } = subjectOf(golden);
      return !isDeepStrictEqual(printDecision(wrong(options, mutant).evaluate(input)), golden.expect);
    });
    expect(failed.length).toBeGreaterThan(0);
  });
});

describe('the policy suite', () => {
  const options: PolicyOptions = {
    document: { version: 1, preset: 'balanced' },
    scanners: [databaseOf(NOW)],
  };
  const failuresOf = async (mutant: Mutant): Promise<readonly string[]> => {
    const { failed } = await runSuite(policySuite, () => ({ policy: wrong(options, mutant) }), { inputs: inputs(NOW) });
    return failed.map(({ name }) => name);
  };

  it('finds nothing in a right one', async () => {
    expect(await failuresOf({})).toEqual([]);
  });

  it.each([
    ['lets the last rule decide', 'lets the strongest of the rules that fired decide'],
    ['never says when it changes', 'says when a decision can change by time alone'],
  ])('catches one that %s', async (name, check) => {
    expect(await failuresOf(mutants[name] ?? {})).toContainEqual(expect.stringContaining(check));
  });
});
