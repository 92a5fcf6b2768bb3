import { describe, expect, it } from 'vitest';
import { type DatedVersion, VersionHistory } from '../../src/index.js';
import { createPolicy, type PolicyDocument, type PolicyException } from '../../src/engine/index.js';
import { DAY, request } from './fixtures.js';

const NOW = Date.UTC(2026, 5, 1);

interface Published extends Partial<DatedVersion> {
  readonly version: string;
  /** Before now. */
  readonly days: number;
}

const dated = ({ days, version, ...traits }: Published): DatedVersion => ({
  version,
  publishedAt: NOW - days * DAY,
  branch: version.split('.', 1)[0] ?? '',
  installScripts: false,
  provenance: 'none',
  publisher: 'alice',
  ...traits,
});

/** Decides on each of `published`, at a time. */
function decide(
  document: PolicyDocument,
  published: readonly Published[],
  { now = NOW, exceptions = [] as readonly PolicyException[] } = {},
): Record<string, string> {
  const policy = createPolicy({ document, exceptions: () => exceptions });
  const versions = published.map(dated);
  const history = new VersionHistory(versions);
  const actions = versions.map((one) => {
    const { version, publishedAt, installScripts, provenance, publisher } = one;
    const facts = { publishedAt, installScripts, provenance, publisher, before: history.before(one) };
    const coordinates = { ecosystem: 'npm', name: 'tool', version };
    const { action, wouldBe = action } = policy.evaluate(request(now, { coordinates, facts }));
    return [version, wouldBe] as const;
  });
  return Object.fromEntries(actions);
}

const SCRIPTS = { installScripts: true };
const TRUSTED = { provenance: 'trusted-publisher' } as const;
const BALANCED: PolicyDocument = { version: 1, preset: 'balanced' };
const STRICT: PolicyDocument = { version: 1, preset: 'strict' };

describe('a rule on changes', () => {
  it.each([
    [
      'one version',
      [
        { version: '1.0.0', days: 400 },
        { version: '1.0.1', days: 5, ...SCRIPTS },
      ],
      ['1.0.1'],
    ],
    [
      'two versions in a row',
      [
        { version: '1.0.0', days: 400 },
        { version: '1.0.1', days: 5.01, ...SCRIPTS },
        { version: '1.0.2', days: 5, ...SCRIPTS },
      ],
      ['1.0.1', '1.0.2'],
    ],
    [
      'many, on and off',
      [
        { version: '1.0.0', days: 400 },
        ...Array.from({ length: 40 }, (_, at) => ({
          version: `1.1.${at}`,
          days: 6 - at / 100,
          installScripts: at % 2 === 0,
        })),
      ],
      Array.from({ length: 20 }, (_, at) => `1.1.${2 * at}`),
    ],
    [
      'a branch that never ran any, after another one that does',
      [
        { version: '1.0.0', days: 400, ...SCRIPTS },
        { version: '2.0.0', days: 300 },
        { version: '1.0.1', days: 200, ...SCRIPTS },
        { version: '2.0.1', days: 5, ...SCRIPTS },
      ],
      ['2.0.1'],
    ],
    [
      'a new branch first',
      [
        { version: '2.0.0', days: 300 },
        { version: '1.5.0', days: 5.01, ...SCRIPTS },
        { version: '2.0.1', days: 5, ...SCRIPTS },
      ],
      ['1.5.0', '2.0.1'],
    ],
    [
      'a name that is younger than the rule looks back',
      [
        { version: '1.0.0', days: 6 },
        { version: '1.0.1', days: 5.5, ...SCRIPTS },
        { version: '1.0.2', days: 5, ...SCRIPTS },
      ],
      ['1.0.1', '1.0.2'],
    ],
    [
      'what has always run some',
      [
        { version: '1.0.0', days: 400, ...SCRIPTS },
        { version: '1.0.1', days: 5, ...SCRIPTS },
      ],
      [],
    ],
  ] as const)('is not got past by %s', (_, published: readonly Published[], held: readonly string[]) => {
    const decided = decide(BALANCED, published);
    expect(Object.keys(decided).filter((version) => decided[version] === 'hold')).toEqual(held);
  });

  it('is not got past by publishing twice in a less trusted way, or on an older branch', () => {
    const published = [
      { version: '1.0.0', days: 900 },
      { version: '2.0.0', days: 400, ...TRUSTED },
      { version: '2.0.1', days: 5.01 },
      { version: '2.0.2', days: 5 },
      { version: '1.0.1', days: 5 },
    ];
    expect(decide(BALANCED, published)).toEqual({
      '1.0.0': 'allow',
      '2.0.0': 'allow',
      '2.0.1': 'hold',
      '2.0.2': 'hold',
      '1.0.1': 'hold',
    });
  });

  it('takes no version for a measure that is not let in itself', () => {
    const published = [
      { version: '1.0.0', days: 900 },
      { version: '1.0.1', days: 100, ...SCRIPTS },
      { version: '1.0.2', days: 10, ...SCRIPTS },
    ];
    expect(decide(STRICT, published)).toMatchObject({ '1.0.0': 'warn', '1.0.1': 'hold', '1.0.2': 'hold' });
    const denied: PolicyDocument = {
      ...BALANCED,
      rules: [{ id: 'bad', match: { purl: ['pkg:npm/tool@1.0.1'] }, action: 'deny' }],
    };
    expect(decide(BALANCED, published)).toMatchObject({ '1.0.2': 'allow' });
    expect(decide(denied, published)).toMatchObject({ '1.0.1': 'deny', '1.0.2': 'hold' });
    expect(decide({ ...denied, mode: 'audit' }, published)).toMatchObject({ '1.0.1': 'deny', '1.0.2': 'hold' });
  });

  it('takes one that was let in by an exception', () => {
    const published = [
      { version: '1.0.0', days: 900 },
      { version: '1.0.1', days: 100, ...SCRIPTS },
      { version: '1.0.2', days: 10, ...SCRIPTS },
    ];
    const exception: PolicyException = {
      id: 'e',
      scope: { purl: ['pkg:npm/tool@1.0.1'] },
      approvedBy: [],
      expiresAt: NOW + DAY,
      active: true,
    };
    expect(decide(STRICT, published, { exceptions: [exception] })).toMatchObject({ '1.0.1': 'allow', '1.0.2': 'warn' });
    // As long as the exception does.
    const versions = published.map(dated);
    const { nextChangeAt } = createPolicy({ document: STRICT, exceptions: () => [exception] }).evaluate(
      request(NOW, {
        facts: {
          publishedAt: NOW - 10 * DAY,
          installScripts: true,
          before: new VersionHistory(versions).before(versions[2] as DatedVersion),
        },
        coordinates: { ecosystem: 'npm', name: 'tool', version: '1.0.2' },
      }),
    );
    expect(nextChangeAt).toBe(NOW + DAY);
  });

  it('lets go what has been there long enough, and says when', () => {
    const published = [
      { version: '1.0.0', days: 400 },
      { version: '1.0.1', days: 10, ...SCRIPTS },
      { version: '1.0.2', days: 5, ...SCRIPTS },
    ];
    const policy = createPolicy({ document: BALANCED });
    const versions = published.map(dated);
    const last = versions.at(-1) as DatedVersion;
    const input = request(NOW, {
      coordinates: { ecosystem: 'npm', name: 'tool', version: last.version },
      facts: { ...last, before: new VersionHistory(versions).before(last) },
    });
    const { action, nextChangeAt } = policy.evaluate(input);
    expect([action, nextChangeAt]).toEqual(['hold', NOW + 4 * DAY]);
    expect(policy.evaluate({ ...input, now: NOW + 4 * DAY }).action).toBe('allow');
  });
});

describe('the history of a version', () => {
  it('is short, also where there are many versions that differ', () => {
    const published = Array.from({ length: 5_000 }, (_, at) =>
      dated({ version: `${at % 2}.0.${at}`, days: 4_000 - at / 2, installScripts: at % 3 === 0 }),
    );
    const history = new VersionHistory(published);
    for (const version of published) expect(history.before(version).length).toBeLessThanOrEqual(28);
    expect(history.before(published[0] as DatedVersion)).toEqual([]);
  });

  it('ends with the first version, and tells those that are alike once', () => {
    const published = ['1.0.0', '1.0.1', '1.0.2', '1.1.0', '1.1.1'].map((version, at) =>
      dated({ version, days: 500 - 100 * at, installScripts: at >= 3 }),
    );
    const before = new VersionHistory(published).before(published[4] as DatedVersion);
    expect(before.map(({ version }) => version)).toEqual(['1.1.0', '1.0.0']);
  });

  it('is found at once where all have one date', () => {
    const published = Array.from({ length: 20_000 }, (_, at) =>
      dated({ version: `1.0.${at}`, days: 1, installScripts: at % 2 === 0 }),
    );
    const history = new VersionHistory(published);
    expect(history.before(published[19_999] as DatedVersion).map(({ version }) => version)).toEqual(['1.0.0']);
  });
});
