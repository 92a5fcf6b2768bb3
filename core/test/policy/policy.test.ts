import { describe, expect, it } from 'vitest';
import { type Condition, compareVersions, createPolicy, type PolicyException, PRESETS } from '@entrepot/core/engine';
import { compileForTests, contentScanner, database, everything, finding, report, request } from './fixtures.js';

const NOW = Date.UTC(2026, 0, 1);

describe('revision', () => {
  const exception: PolicyException = { id: 'e', scope: {}, approvedBy: [], expiresAt: NOW + 1, active: true };
  let exceptions: readonly PolicyException[] = [];
  let database = '1';
  const make = (mode?: 'audit') =>
    createPolicy({
      document: { version: 1, preset: 'balanced', mode },
      exceptions: () => exceptions,
      scanners: [{ id: 'osv', scanner: { subjects: { ecosystems: [] }, revision: () => database } }],
    });

  it('follows the document, the exceptions and the databases, and nothing else', () => {
    const policy = make();
    const revisions = [policy.revision(), make('audit').revision()];
    exceptions = [exception];
    revisions.push(policy.revision());
    exceptions = [{ ...exception, active: false }];
    revisions.push(policy.revision());
    database = '2';
    revisions.push(policy.revision());
    expect(new Set(revisions).size).toBe(5);
    expect(make().revision()).toBe(policy.revision());
    exceptions = [{ ...exception, active: false }];
    expect(policy.revision()).toBe(revisions.at(-1));
  });
});

describe('needs', () => {
  const needsOf = (when: object, mode: 'off' | 'enforce' = 'enforce'): readonly string[] =>
    [
      ...createPolicy({
        document: { version: 1, rules: [{ id: 'r', when, action: 'deny', mode }] },
        compileExpression: compileForTests,
      }).needs(),
    ].sort();

  it.each([
    [{ age: { lt: '1d' } }, ['publishedAt']],
    [{ provenance: { level: 'none', downgraded: true } }, ['provenance', 'provenanceDowngraded']],
    [{ anyOf: [{ deprecated: true }, { not: { yanked: true } }] }, ['deprecated', 'yanked']],
    [{ cel: 'newInstallScripts && upstream' }, ['newInstallScripts', 'upstream']],
    [{ vuln: {} }, []],
  ])('of %j', (when, facts) => {
    expect(needsOf(when)).toEqual(facts);
  });

  it('are none of a rule that is off', () => {
    expect(needsOf({ deprecated: true }, 'off')).toEqual([]);
  });

  it('may be all, for an expression that asks what is known', () => {
    expect(needsOf({ cel: 'known' })).toHaveLength(13);
  });
});

describe('explain', () => {
  it('tells of every rule, also of those that did nothing', () => {
    const policy = createPolicy({
      document: {
        version: 1,
        repositories: { npm: { onScanFailure: 'deny' } },
        rules: [
          { id: 'off', action: 'deny', mode: 'off' },
          { id: 'elsewhere', match: { ecosystems: ['pypi'] }, action: 'deny' },
          { id: 'silent', when: { deprecated: true }, action: 'deny' },
          { id: 'unknown', when: { yanked: true }, action: 'deny' },
          { id: 'pending', when: { vuln: { severity: 'critical' } }, action: 'deny' },
          { id: 'fired', when: { vuln: { severity: 'low' } }, action: 'warn' },
          { id: 'excepted', when: { malicious: true }, action: 'deny' },
          { id: 'beaten', action: 'deny' },
          { id: 'beating', action: 'allow', override: ['beaten'] },
        ],
      },
      scanners: [database({ 'lodash@1.0.0': [finding('GHSA-1'), finding('MAL-1')] }), contentScanner],
      exceptions: () => [
        {
          id: 'e',
          scope: {},
          advisories: ['mal-1'],
          rules: ['excepted'],
          approvedBy: [],
          expiresAt: Infinity,
          active: true,
        },
      ],
    });
    const outcomes = policy.explain(request(NOW, { facts: { deprecated: false }, scanFailures: undefined }));
    expect(outcomes.map(({ id, state }) => `${id}: ${state}`)).toEqual([
      'off: off',
      'elsewhere: unmatched',
      'silent: silent',
      'unknown: unknown',
      'pending: pending',
      'fired: fired',
      // The bytes may hold something hostile, too.
      'excepted: pending',
      'beaten: overridden',
      'beating: fired',
      'scan-failure: silent',
    ]);
    expect(outcomes.find(({ id }) => id === 'fired')).toMatchObject({ findings: ['GHSA-1', 'MAL-1'] });
  });
});

describe('firstFetch', () => {
  it('is that of the repository over that of the document', () => {
    const policy = createPolicy({
      document: {
        version: 1,
        defaults: { firstFetch: { action: 'deny', deadline: '1m' } },
        repositories: { npm: { firstFetch: { action: 'hold', onTimeout: 'deny' } } },
      },
    });
    expect(policy.firstFetch('npm')).toEqual({ action: 'hold', deadline: 60_000, onTimeout: 'deny' });
    expect(policy.firstFetch('constructor')).toEqual({ action: 'deny', deadline: 60_000, onTimeout: 'allow' });
  });
});

describe('a policy', () => {
  it('is not changed through its document', () => {
    const document = structuredClone(PRESETS.strict);
    const policy = createPolicy({ document });
    Object.assign(document, { mode: 'off' });
    expect(policy.document.mode).toBe('enforce');
    expect(() => Object.assign(policy.document, { mode: 'off' })).toThrow(TypeError);
  });

  it('decides also when a scanner breaks', () => {
    const broken = { subjects: { ecosystems: ['npm'] }, revision: () => '1', lookup: () => brokenLookup() };
    const policy = createPolicy({
      document: everything,
      scanners: [{ id: 'broken', scanner: broken }],
      compileExpression: compileForTests,
    });
    expect(policy.evaluate(request(NOW)).pending).toBe(true);
    expect(policy.explain(request(NOW)).find(({ id }) => id === 'malicious')?.state).toBe('pending');
  });

  it('lets what overrides do so also under an exception', () => {
    const policy = createPolicy({
      document: {
        version: 1,
        rules: [
          { id: 'no', action: 'deny', exceptions: 'none' },
          { id: 'yes', action: 'allow', override: ['no'] },
        ],
      },
      exceptions: () => [{ id: 'e', scope: {}, approvedBy: [], expiresAt: Infinity, active: true }],
    });
    expect(policy.evaluate(request(NOW)).action).toBe('allow');
  });

  it('blames an expression that fails only where the rule fires for it', () => {
    const reasonOf = (when: Condition) =>
      createPolicy({
        document: { version: 1, rules: [{ id: 'r', when, action: 'deny' }] },
        compileExpression: compileForTests,
      }).evaluate(request(NOW, { facts: { deprecated: true } })).rules[0]?.reason;
    expect(reasonOf({ cel: 'throw' })).toBe('its expression failed');
    expect(reasonOf({ anyOf: [{ cel: 'throw' }, { deprecated: true }] })).toBe('deprecated');
    expect(reasonOf({ allOf: [{ deprecated: false }, { cel: 'throw' }] })).toBeUndefined();
  });

  it('judges the bytes of what has no version, but not a name', () => {
    const policy = createPolicy({
      document: { version: 1, rules: [{ id: 'r', when: { vuln: {} }, action: 'deny' }] },
      scanners: [database({ lodash: [finding('GHSA-1')] })],
    });
    const file = request(NOW, { coordinates: { ecosystem: 'npm', name: 'lodash' } });
    expect(policy.evaluate(file).action).toBe('allow');
    expect(policy.evaluate({ ...file, stage: 'content', reports: [report([finding('CVE-1')])] }).action).toBe('deny');
  });

  it('says that a finding is hostile', () => {
    const policy = createPolicy({
      document: { version: 1, preset: 'balanced' },
      scanners: [database({ 'lodash@1.0.0': [finding('GHSA-1', { malicious: true })] })],
    });
    expect(policy.evaluate(request(NOW)).rules[0]).toMatchObject({ id: 'malware', malicious: true });
  });

  it('finds one among many exceptions', () => {
    const exceptions = Array.from({ length: 5000 }, (_, index): PolicyException => {
      const scope = { purl: [`pkg:npm/name-${index}`] };
      return { id: `e${index}`, scope, approvedBy: [], expiresAt: Infinity, active: true };
    });
    const policy = createPolicy({
      document: { version: 1, rules: [{ id: 'no', action: 'deny' }] },
      exceptions: () => exceptions,
    });
    const named = (name: string) => request(NOW, { coordinates: { ecosystem: 'npm', name, version: '1' } });
    expect(policy.evaluate(named('name-4711')).exceptions).toEqual(['e4711']);
    expect(policy.evaluate(named('name-5000')).action).toBe('deny');
  });
});

describe('compareVersions', () => {
  it.each([
    ['npm', '1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.10.0 2.0.0'],
    ['golang', 'v0.0.0-2023 v0.1.0 v1.0.0+incompatible v2.0.0'],
    ['gem', '1.0.0.a 1.0.0.beta2 1.0.0.rc1 1.0.0 1.0.0.1 1.0.1.pre 1.0.1 1.10 2'],
    ['pypi', '1.0.dev1 1.0a1.dev2 1.0a1 1.0b2 1.0rc1 1.0 1.0.post1.dev1 1.0.post1 1.0.1 2!0.1'],
  ])('orders %s versions', (ecosystem, list) => {
    const versions = list.split(' ');
    for (const [index, version] of versions.entries()) {
      for (const [other, compared] of versions.entries()) {
        expect(compareVersions(ecosystem, version, compared), `${version} ${compared}`).toBe(Math.sign(index - other));
      }
    }
  });

  it('takes a missing number for 0', () => {
    expect(compareVersions('pypi', '1.0', '1')).toBe(0);
    expect(compareVersions('npm', '1.0.0+a', '1.0.0+b')).toBe(0);
  });

  it.each([
    ['alpm', '1.0', '1.0'],
    ['gem', '1.0', '1.0~1'],
    ['npm', 'latest', '1.0.0'],
    ['npm', '1.0.0', '1.0.0rc1'],
    ['pypi', '1.0', '1.0-final-2'],
  ])('does not order %s versions that it does not know', (ecosystem, a, b) => {
    expect(compareVersions(ecosystem, a, b)).toBeUndefined();
  });
});

function brokenLookup(): never {
  throw new Error('the database is gone');
}
