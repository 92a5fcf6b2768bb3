import assert from 'node:assert/strict';
import { deepFreeze } from '../api/deep-freeze.js';
import { ACTIONS, type PolicyDecision, type PolicyEngine, type PolicyInput } from '../api/policy.js';
import type { ScanReport } from '../api/scanner.js';
import { digestOf } from './sample-bytes.js';
import { defineChecks, type SuiteRunner } from './suite.js';

/** A policy, for one check. */
export interface PolicyFixture {
  readonly policy: PolicyEngine;
  /** For `change`: puts other rules in force that decide at least one input differently. */
  change?(): Promise<void> | void;
  close?(): Promise<void>;
}

export interface PolicySuiteOptions {
  /** Inputs for the rules under test, besides the suite's own. */
  readonly inputs?: readonly PolicyInput[];
  /** Whether the fixture has `change`. Off by default. */
  readonly change?: boolean;
}

const NOW = Date.UTC(2026, 0, 1);
const YEAR = 365 * 24 * 3_600_000;

/** Checks the contract of `PolicyEngine`. `factory` gives the policy under test, new for each check. */
export function policySuite(
  runner: SuiteRunner,
  factory: () => Promise<PolicyFixture> | PolicyFixture,
  { inputs = [], change = false }: PolicySuiteOptions = {},
): void {
  const all = [...madeUp(), ...inputs];
  const close = async (fixture: PolicyFixture): Promise<void> => fixture.close?.();
  defineChecks(runner, 'policy', factory, close, ({ check, checkIf }) => {
    check('decides every input, at once and in the promised shape', async ({ policy }) => {
      for (const input of all) {
        const decision: unknown = policy.evaluate(input);
        assert.ok(typeof decision === 'object' && decision !== null && !('then' in decision), 'expected a decision');
        assertShape(decision as PolicyDecision, input);
      }
    });

    check('lets the strongest of the rules that fired decide', async ({ policy }) => {
      for (const input of all) {
        const { action, rules } = policy.evaluate(input);
        const strongest = ACTIONS.find((candidate) => rules.some((rule) => rule.action === candidate)) ?? 'allow';
        assert.equal(action, strongest, `the decision on ${print(input)}`);
      }
    });

    check('gives the same decision for the same input', async ({ policy }) => {
      const first = all.map((input) => structuredClone(policy.evaluate(input)));
      const again = [...all].reverse().map((input) => policy.evaluate(structuredClone(input)));
      assert.deepEqual(again.reverse(), first);
    });

    check('does not change its input', async ({ policy }) => {
      for (const input of all) {
        const frozen = deepFreeze(structuredClone(input));
        policy.evaluate(frozen);
        assert.deepEqual(frozen, input);
      }
    });

    check('is not changed through a decision that it gave', async ({ policy }) => {
      for (const input of all) {
        const before = structuredClone(policy.evaluate(input));
        spoil(policy.evaluate(input));
        assert.deepEqual(policy.evaluate(input), before);
      }
    });

    check('says when a decision can change by time alone', async ({ policy }) => {
      for (const input of all) {
        const { action, nextChangeAt } = policy.evaluate(input);
        assert.ok(nextChangeAt === undefined || nextChangeAt > input.now, `expected nextChangeAt in the future`);
        const last = nextChangeAt === undefined ? input.now + 100 * YEAR : nextChangeAt - 1;
        for (const share of [0, 0.001, 0.01, 0.1, 0.5, 1]) {
          const now = Math.floor(input.now + (last - input.now) * share);
          const later = policy.evaluate({ ...input, now }).action;
          assert.equal(later, action, `${print(input)} before nextChangeAt (${String(nextChangeAt)}), at ${now}`);
        }
      }
    });

    check('keeps its revision while nothing changes', async ({ policy }) => {
      const revision = policy.revision();
      assert.ok(typeof revision === 'string' && revision !== '', 'expected a revision, found none');
      for (const input of all) policy.evaluate(input);
      assert.equal(policy.revision(), revision);
    });

    checkIf(change, 'change is off', 'has another revision when it decides differently', async (fixture) => {
      if (fixture.change === undefined) throw new Error('the option "change" needs change() in the fixture');
      const { policy } = fixture;
      const revision = policy.revision();
      const before = all.map((input) => policy.evaluate(input).action);
      await fixture.change();
      const after = all.map((input) => policy.evaluate(input).action);
      assert.notDeepEqual(after, before, 'expected change() to change the decision on one of the inputs');
      assert.notEqual(policy.revision(), revision);
    });
  });
}

/** Inputs from the barest to the fullest: a fact that is absent is not yet known. */
function madeUp(): PolicyInput[] {
  const names = [
    'lodash',
    '@scope/name',
    'github.com/acme/tool',
    '',
    '../..',
    '%',
    "it's",
    '__proto__',
    '😀',
    'x'.repeat(500),
  ];
  const versions = ['1.0.0', '0.0.0-alpha.1+build', 'v2', 'latest', 'not a version', ''];
  return [
    ...names.map((name) => inputOf({ coordinates: { ecosystem: 'npm', name } })),
    ...versions.flatMap((version) => {
      const coordinates = { ecosystem: 'npm', name: 'lodash', version };
      const digest = digestOf(version);
      return [inputOf({ coordinates, digest }), inputOf({ stage: 'content', coordinates, digest })];
    }),
    ...[0, 1000, 3 * 24 * 3_600_000, 10 * YEAR, -YEAR].map((age) => {
      const licenses = ['MIT', 'GPL-3.0-only OR Apache-2.0', 'not a licence'];
      return inputOf({ facts: { publishedAt: NOW - age, licenses, deprecated: age > 1000 } });
    }),
    ...[[], [CLEAN], [CLEAN, VULNERABLE]].map((reports) => inputOf({ stage: 'content', reports })),
  ];
}

/** The input for a version, but for what `fields` says. */
function inputOf(fields: Partial<PolicyInput>): PolicyInput {
  return {
    stage: 'request',
    repository: { name: 'npm', kind: 'proxy' },
    coordinates: { ecosystem: 'npm', name: 'lodash', version: '1.0.0' },
    facts: {},
    now: NOW,
    ...fields,
  };
}

const CLEAN: ScanReport = { scanner: 'clean', revision: '1', scannedAt: NOW, coverage: 'full', findings: [] };
const VULNERABLE: ScanReport = {
  scanner: 'vulnerable',
  revision: '1',
  scannedAt: NOW,
  coverage: 'partial',
  findings: [
    { id: 'CVE-2026-0001', aliases: [], severity: 'critical', cvss: 9.8, fixedIn: ['1.0.1'], source: 'sample' },
    { id: 'MAL-2026-1', aliases: ['GHSA-0000'], severity: 'unknown', fixedIn: [], source: 'sample' },
  ],
};

function assertShape({ action, rules, nextChangeAt }: PolicyDecision, input: PolicyInput): void {
  assert.ok(
    ACTIONS.includes(action),
    `${print(input)}: expected one of ${ACTIONS.join(', ')}, found ${String(action)}`,
  );
  assert.ok(Array.isArray(rules), `${print(input)}: expected the rules that fired`);
  for (const rule of rules) {
    assert.ok(ACTIONS.includes(rule.action), `${print(input)}: expected an action, found ${String(rule.action)}`);
    assert.ok(typeof rule.id === 'string' && rule.id !== '', `${print(input)}: expected the id of a rule`);
    assert.ok(typeof rule.reason === 'string' && rule.reason !== '', `${print(input)}: expected a reason`);
  }
  assert.ok(nextChangeAt === undefined || Number.isFinite(nextChangeAt), `${print(input)}: expected a time or nothing`);
}

/** Does what a careless caller does; a frozen decision does not let it. */
function spoil(decision: PolicyDecision): void {
  try {
    (decision.rules as unknown[]).push({ id: 'spoilt', action: 'deny', reason: 'spoilt' });
    Object.assign(decision, { action: 'deny' });
  } catch {
    // Frozen: as good.
  }
}

function print({ stage, coordinates: { name, version } }: PolicyInput): string {
  return `${stage} of ${JSON.stringify(name.slice(0, 40))}${version === undefined ? '' : ` ${version}`}`;
}
