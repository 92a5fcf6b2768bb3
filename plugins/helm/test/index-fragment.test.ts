import { load, YAML11_SCHEMA } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { ChartError } from '../src/chart-error.js';
import {
  entryJson,
  findVersion,
  CHART_LIST,
  IndexJoiner,
  JSON_INDEX,
  jsonFragment,
  readIndexEntry,
  YAML_INDEX,
  yamlFragment,
  type IndexEntry,
  type IndexForm,
  type IndexHead,
} from '../src/index-fragment.js';
import { newestFirst } from '../src/version-order.js';

const DIGEST = 'ab'.repeat(32);
const GENERATED = '2024-05-01T12:34:56Z';

function entry(version: string, more: Partial<IndexEntry> = {}): IndexEntry {
  return { name: 'x', version, apiVersion: 'v2', urls: [`charts/x-${version}.tgz`], digest: DIGEST, ...more };
}

const NASTY = entry('1.0.0', {
  appVersion: '1.10',
  created: GENERATED,
  deprecated: true,
  description: 'a: "b" # c\u0085d\u2028e\u007f \ufeff é 😀 \\ yes',
  keywords: ['no', 'null', '1e3', '', '- a', '*b', '2024-01-01'],
  annotations: { y: 'on', 'a: b': 'x\ny\n', 'artifacthub.io/changes': '- kind: added\n  description: "x"\n' },
  dependencies: [
    {
      name: 'redis',
      repository: '',
      version: '^17',
      tags: ['a', 'b'],
      enabled: true,
      'import-values': ['data', { child: 'a', parent: { b: [] } }, [1]],
    },
    { name: 'common', repository: 'oci://registry.example.com' },
  ],
  maintainers: [{ name: 'A', email: 'a@example.com' }, { url: 'https://example.com' }],
  removed: true,
  type: 'library',
});

const HEAD = { generated: GENERATED };

function joined(form: IndexForm, charts: Record<string, IndexEntry[]>, head: IndexHead = HEAD): string {
  const joiner = new IndexJoiner(form);
  const parts = Object.entries(charts).flatMap(([name, entries]) =>
    // A chart may come in parts.
    joiner.chart(
      name,
      newestFirst(entries).map((entry) => (form === YAML_INDEX ? yamlFragment([entry]) : jsonFragment([entry]))),
    ),
  );
  return Buffer.concat([...parts, joiner.close(head)]).toString();
}

function both(charts: Record<string, IndexEntry[]>, serverInfo?: { contextPath?: string }): unknown[] {
  const head = { generated: GENERATED, serverInfo };
  const yaml = load(joined(YAML_INDEX, charts, head), { schema: YAML11_SCHEMA });
  return [JSON.parse(joined(JSON_INDEX, charts, head)), yaml];
}

describe('an index', () => {
  it('is the same as JSON and as YAML', () => {
    const charts = {
      'a: b': [entry('0.1.0', { name: 'a: b' })],
      x: [entry('0.9.0'), NASTY, entry('1.10.0')],
    };
    const wanted = {
      apiVersion: 'v1',
      entries: { 'a: b': charts['a: b'], x: [entry('1.10.0'), NASTY, entry('0.9.0')] },
      generated: GENERATED,
      serverInfo: { contextPath: '/charts' },
    };
    expect(both(charts, { contextPath: '/charts' })).toEqual([wanted, wanted]);
  });

  it('may hold nothing', () => {
    const wanted = { apiVersion: 'v1', entries: {}, generated: GENERATED };
    expect(both({})).toEqual([wanted, wanted]);
    expect(both({}, {})).toEqual([
      { ...wanted, serverInfo: {} },
      { ...wanted, serverInfo: {} },
    ]);
  });

  it('is printed as people know it', async () => {
    expect(
      yamlFragment([
        entry('1.0.0', { keywords: ['a'], maintainers: [{ name: 'A', url: 'https://a.example.com' }] }),
      ]).toString(),
    ).toBe(
      `  - apiVersion: "v2"
    digest: "${DIGEST}"
    keywords:
    - "a"
    maintainers:
    - "name": "A"
      "url": "https://a.example.com"
    name: "x"
    urls:
    - "charts/x-1.0.0.tgz"
    version: "1.0.0"
`
        .replaceAll('"name": ', 'name: ')
        .replaceAll('"url": ', 'url: '),
    );
  });

  it('has the same bytes for the same entries', () => {
    const fields = { ...NASTY };
    const turned = Object.fromEntries(Object.entries(fields).reverse()) as unknown as IndexEntry;
    expect(entryJson(turned)).toBe(entryJson(NASTY));
    expect(jsonFragment([entry('1.0.0+a'), entry('1.0.0+b')])).toEqual(
      jsonFragment([entry('1.0.0+b'), entry('1.0.0+a')]),
    );
    expect(yamlFragment([turned])).toEqual(yamlFragment([NASTY]));
  });

  it('has no field that helm does not know', () => {
    const more = { ...entry('1.0.0'), score: 1, tillerVersion: '>2' } as IndexEntry;
    expect(JSON.parse(entryJson(more))).toEqual(entry('1.0.0'));
    expect(yamlFragment([more]).toString()).not.toMatch(/score|tiller/);
  });
});

describe('the lists of the API', () => {
  it('join charts', () => {
    const charts = { a: [entry('1.0.0', { name: 'a' })], c: [entry('1.0.0', { name: 'c' })] };
    expect(JSON.parse(joined(CHART_LIST, charts))).toEqual(charts);
    expect(joined(CHART_LIST, {})).toBe('{}');
  });

  it('find a version', () => {
    const entries = [entry('2.0.0-rc.1'), entry('1.0.0'), entry('v1.1.0')];
    expect(findVersion(entries, 'latest')?.version).toBe('v1.1.0');
    expect(findVersion(entries, '2.0.0-rc.1')?.version).toBe('2.0.0-rc.1');
    expect(findVersion(entries, '1.1.0')).toBeUndefined();
    expect(findVersion([entry('1.0.0-1')], 'latest')).toBeUndefined();
  });
});

describe('an entry of another server', () => {
  const fields = { name: 'x', version: '1.0.0', urls: ['x-1.0.0.tgz'] };
  const plain = { apiVersion: 'v1', name: 'x', version: '1.0.0', urls: ['x-1.0.0.tgz'] };

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['keeps what helm knows', { appVersion: 2, unknown: {} }, { appVersion: '2' }],
    ['keeps a digest', { digest: DIGEST }, { digest: DIGEST }],
    ['spells a digest as helm 4 wants it', { digest: `sha256:${DIGEST.toUpperCase()}` }, { digest: DIGEST }],
    ['drops a digest that is none', { digest: 'abc' }, {}],
    ['drops a digest that is no text', { digest: 12 }, {}],
    [
      'keeps a time',
      { created: '2024-05-01T12:34:56.789012345+02:00' },
      { created: '2024-05-01T12:34:56.789012345+02:00' },
    ],
    ['drops a date', { created: '2024-05-01' }, {}],
    ['drops a time that never was', { created: '2024-13-01T00:00:00Z' }, {}],
    ['has no urls without any', { urls: null }, { urls: [] }],
    ['may be removed', { removed: true }, { removed: true }],
    [
      'may have a dependency twice',
      { dependencies: [{ name: 'a' }, { name: 'a' }] },
      {
        dependencies: [
          { name: 'a', repository: '' },
          { name: 'a', repository: '' },
        ],
      },
    ],
    ['replaces half characters', { annotations: { a: 'x\ud800' } }, { annotations: { a: 'x\ufffd' } }],
  ])('%s', (_, more, wanted) => expect(readIndexEntry({ ...fields, ...more })).toEqual({ ...plain, ...wanted }));

  it.each([
    { name: '../x' },
    { version: 'one' },
    { urls: 'x' },
    { urls: [{}] },
    { deprecated: 'yes' },
    { annotations: [] },
    { annotations: { ['k'.repeat(300)]: '' } },
  ])('is refused with %j', (more) => expect(() => readIndexEntry({ ...fields, ...more })).toThrow(ChartError));
});
