import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { UpstreamVersion } from '../src/chart-rows.js';
import type { IndexSummary } from '../src/index-parser.js';
import { LARGEST_INDEX, readIndexRows, SUMMARY } from '../src/index-rows.js';
import { stream } from './fixtures.js';

const PARAMETERS = { indexUrl: 'https://charts.example.com/stable/index.yaml' };
const DIGEST = createHash('sha256').update('x').digest('hex');

type Version = Omit<UpstreamVersion, 'chart'> & { readonly path: string };

interface Found {
  readonly charts: { readonly name: string; readonly versions: Version[] }[];
  readonly summary: IndexSummary;
}

async function read(index: string | Uint8Array, piece = 50_000): Promise<Found> {
  const bytes = Buffer.from(index as string);
  const charts: Found['charts'] = [];
  let summary: IndexSummary | undefined;
  for await (const [path, row] of readIndexRows(
    { size: bytes.length, stream: () => stream(bytes, piece) },
    PARAMETERS,
  )) {
    // It is the last one.
    expect(summary).toBeUndefined();
    if (path === SUMMARY) {
      summary = JSON.parse(row as string) as IndexSummary;
      continue;
    }
    const { chart: name, ...version } = JSON.parse(row as string) as UpstreamVersion;
    if (charts.at(-1)?.name !== name) charts.push({ name, versions: [] });
    charts.at(-1)?.versions.push({ path, ...version });
  }
  return { charts, summary: summary as IndexSummary };
}

/** The charts of an index in short: `name version, …`. */
async function list(index: string | Uint8Array, piece?: number): Promise<string[]> {
  const { charts } = await read(index, piece);
  return charts.map(({ name, versions }) => `${name} ${versions.map(({ entry }) => entry.version).join(', ')}`);
}

const HELM = `apiVersion: v1
entries:
  alpine:
  - annotations:
      text: |
        entries:
          # no comment
        - x

      quoted: 'a
        - b: c'
    apiVersion: v2
    appVersion: 1.10
    created: "2024-05-01T12:34:56.789Z"
    digest: ${DIGEST}
    name: alpine
    urls:
    - alpine-1.0.0.tgz
    version: 1.0.0

  # a comment
  - name: alpine
    version: 1.1.0
    urls: [alpine-1.1.0.tgz, "https://mirror.example.org/alpine-1.1.0.tgz?sig=1"]
  "na:me":
  - {name: "na:me", version: 0.1.0, urls: [x.tgz]}
  empty: []
  nothing:
generated: "2024-05-01T12:34:56.789Z"
`;

describe('an index', () => {
  it.each([1, 7, 1000])('as helm writes it is read, in pieces of %s bytes', async (piece) => {
    const { charts, summary } = await read(HELM, piece);
    expect(summary).toMatchObject({ charts: 2, versions: 3, skipped: 0 });
    expect(charts[0]).toEqual({
      name: 'alpine',
      versions: [
        {
          path: 'charts/alpine-1.1.0.tgz',
          locations: [
            'https://charts.example.com/stable/alpine-1.1.0.tgz',
            'https://mirror.example.org/alpine-1.1.0.tgz?sig=1',
          ],
          entry: { apiVersion: 'v1', name: 'alpine', version: '1.1.0', urls: ['charts/alpine-1.1.0.tgz'] },
        },
        {
          path: 'charts/alpine-1.0.0.tgz',
          locations: ['https://charts.example.com/stable/alpine-1.0.0.tgz'],
          entry: {
            annotations: { quoted: 'a - b: c', text: 'entries:\n  # no comment\n- x\n' },
            apiVersion: 'v2',
            appVersion: '1.1',
            created: '2024-05-01T12:34:56.789Z',
            digest: DIGEST,
            name: 'alpine',
            urls: ['charts/alpine-1.0.0.tgz'],
            version: '1.0.0',
          },
        },
      ],
    });
  });

  const one = '{name: x, version: 1.0.0, urls: [x.tgz]}';
  const json = '{"apiVersion":"v1","entries":{"x":[{"name":"x","version":"1.0.0","urls":["x.tgz"]}]}}';

  it.each<[string, string | Uint8Array]>([
    ['JSON', json],
    ['JSON on many lines', JSON.stringify(JSON.parse(json), undefined, 2)],
    ['JSON with fields that nobody knows', json.replace('"apiVersion"', '"more":[{}],"apiVersion"')],
    ['YAML in flow style', `{apiVersion: v1, entries: {x: [${one}]}}`],
    ['entries in flow style', `apiVersion: v1\nentries: {x: [${one}]}\n`],
    ['a chart in flow style', `apiVersion: v1\nentries:\n  x: [${one}]\n`],
    ['deeper lists', `apiVersion: v1\nentries:\n    x:\n        -   ${one}\n`],
    [
      'a list item on its own line',
      `apiVersion: v1\nentries:\n  x:\n  -\n    name: x\n    version: 1.0.0\n    urls: [x]\n`,
    ],
    ['an order of its own', `entries:\n  x:\n  - ${one}\ngenerated: now\napiVersion: v1\n`],
    ['keys in quotes', `"apiVersion": v1\n"entries":\n  x:\n  - ${one}\n`],
    ['a document marker', `---\napiVersion: v1\nentries:\n  x:\n  - ${one}\n`],
    ['two documents', `apiVersion: v1\nentries:\n  x:\n  - ${one}\n---\na: b\n`],
    ['a directive', `%YAML 1.1\n---\napiVersion: v1\nentries:\n  x:\n  - ${one}\n`],
    ['CR LF', `apiVersion: v1\r\nentries:\r\n  x:\r\n  - ${one}\r\n`],
    ['no final line break', `apiVersion: v1\nentries:\n  x:\n  - ${one}`],
    ['a mark', `\ufeffapiVersion: v1\nentries:\n  x:\n  - ${one}\n`],
    ['UTF-16', Buffer.from(`\ufeffapiVersion: v1\nentries:\n  x:\n  - ${one}\n`, 'utf16le')],
    ['serverInfo', `apiVersion: v1\nentries:\n  x:\n  - ${one}\nserverInfo: {contextPath: /a}\n`],
    ['comments', `# a\napiVersion: v1 # b\n# c\nentries: # d\n  # e\n  x: # f\n  # g\n  - ${one} # h\n# i\n`],
    ['an anchor', `apiVersion: v1\nentries:\n  x:\n  - &a ${one}\n  - *a\n`],
    ['a merge', `apiVersion: v1\nentries:\n  x:\n  - <<: {urls: [x.tgz]}\n    name: x\n    version: 1.0.0\n`],
  ])('with %s is read', async (_, index) => {
    expect(await list(index, 10)).toEqual(['x 1.0.0']);
  });

  it('with an anchor that another chart refers to is read, each chart once', async () => {
    const index = `apiVersion: v1\nentries:\n  a:\n  - {name: a, version: 1.0.0, urls: &u [a.tgz]}\n  b:\n  - {name: b, version: 1.0.0, urls: *u}\n`;
    for (const piece of [5, 100, 1000]) expect(await list(index, piece)).toEqual(['a 1.0.0', 'b 1.0.0']);
    expect((await read(index, 5)).summary).toEqual({ charts: 2, versions: 2, skipped: 0 });
  });

  it('leaves out what helm passes over, and what cannot be fetched', async () => {
    const index = `apiVersion: v1
entries:
  x:
  - null
  - text
  - {name: x, version: one, urls: [x.tgz]}
  - {version: 1.0.0, urls: [x.tgz]}
  - {name: y, version: 1.0.0, urls: [x.tgz]}
  - {name: ../x, version: 1.0.0, urls: [x.tgz]}
  - {name: x, version: 1.0.1}
  - {name: x, version: 1.0.2, urls: []}
  - {name: x, version: 1.0.3, urls: [s3://bucket/x.tgz]}
  - {name: x, version: 1.0.4, urls: ["", s3://bucket/x.tgz, oci://registry.example.com/x]}
  - {name: x, version: 1.0.4, urls: ["", s3://bucket/x.tgz, oci://registry.example.com/x]}
  - {name: x, version: 1.0.5, urls: [a.tgz], deprecated: "yes"}
  nothing:
`;
    const { charts, summary } = await read(index);
    expect(summary).toEqual({ charts: 1, versions: 2, skipped: 10 });
    expect(charts[0]?.versions.map(({ entry }) => entry.name)).toEqual(['x', 'true']);
    expect(charts[0]?.versions[0]?.locations).toEqual(['oci://registry.example.com/x:1.0.4']);
  });

  it('gives two entries of one name and version a path each', async () => {
    const index = `apiVersion: v1
entries:
  a:
  - {name: a, version: 1-2.0.0, urls: [1.tgz]}
  a-1:
  - {name: a-1, version: 2.0.0, urls: [2.tgz]}
  - {name: a-1, version: 2.0.0, urls: [3.tgz]}
`;
    const paths = (await read(index)).charts.flatMap(({ versions }) => versions.map(({ path }) => path));
    expect(paths[0]).toBe('charts/a-1-2.0.0.tgz');
    expect(paths.slice(1)).toEqual(Array(2).fill(expect.stringMatching(/^charts\/[0-9a-f]{12}\/a-1-2\.0\.0\.tgz$/)));
    expect(new Set(paths).size).toBe(3);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ['empty', '', /expected the index of a chart repository/],
    ['a login page', '<!DOCTYPE html>\n<html><body>Sign in</body></html>\n', /expected the index|malformed YAML/],
    ['text', 'Not Found\n', /expected the index/],
    ['a list', '- a\n', /expected the index/],
    ['JSON of something else', '{"message":"no"}', /expected the index/],
    ['without apiVersion', 'entries:\n  x:\n  - {name: x}\n', /expected the index/],
    ['with entries twice', 'apiVersion: v1\nentries:\n  x: []\nentries:\n  x: []\n', /twice|malformed/],
    ['with a chart twice', 'apiVersion: v1\nentries:\n  x:\n  - null\n  x:\n  - null\n', /"x" once in the index/],
    ['with a field twice', 'apiVersion: v1\nentries:\n  x:\n  - name: x\n    name: y\n', /malformed YAML in line 5/],
    ['with tabs', 'apiVersion: v1\nentries:\n\tx:\n\t- name: x\n', /malformed YAML/],
    ['with a chart without a name', 'apiVersion: v1\nentries:\n  ~\n  x: []\n', /malformed YAML/],
    ['with a list behind a list', 'apiVersion: v1\nentries:\n  x: []\n  - {name: x}\n', /malformed YAML/],
    ['with entries in a list', 'apiVersion: v1\nentries:\n- x\n', /expected the index/],
    ['with a chart that is a mapping', 'apiVersion: v1\nentries:\n  x:\n    a: b\n', /"x": expected a list/],
    ['with a chart that is text', 'apiVersion: v1\nentries:\n  x: y\n', /"x": expected a list/],
    ['cut off', HELM.slice(0, HELM.indexOf('- b: c')), /malformed YAML/],
    ['cut-off JSON', json.slice(0, 30), /malformed YAML/],
    ['no UTF-8', Buffer.from('apiVersion: v1\n# \xff\n', 'latin1'), /expected an index in UTF-8/],
    ['nested too deep', `apiVersion: v1\nentries:\n  x: ${'['.repeat(10_000)}`, /malformed YAML/],
  ])('%s is refused', async (_, index, message) => {
    await expect(read(index, 10)).rejects.toThrow(message);
    await expect(read(index)).rejects.toMatchObject({ kind: 'upstream-unavailable', code: 'UPSTREAM_MALFORMED' });
  });

  it('does not grow with aliases', async () => {
    const laughs = ['a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]'];
    for (const [at, key] of [...'bcdefghi'].entries()) {
      laughs.push(`${key}: &${key} [${Array.from({ length: 9 }, () => `*${'abcdefgh'[at]}`).join(', ')}]`);
    }
    const version = '{name: x, version: 1.0.0, urls: [x.tgz], dependencies: [{name: a, import-values: *i}]}';
    const index = `${laughs.join('\n')}\napiVersion: v1\nentries:\n  x:\n  - ${version}\n`;
    expect((await read(index)).summary).toEqual({ charts: 0, versions: 0, skipped: 1 });
  });

  it('does not grow with aliases from one version to the next', async () => {
    const versions = Array.from(
      { length: 5000 },
      (_, at) => `  - {name: x, version: 0.0.${at}, urls: [x.tgz], keywords: *k}`,
    );
    const first = `  - {name: x, version: 1.0.0, urls: [x.tgz], keywords: &k [${'aaaaaaaaaa, '.repeat(40_000)}]}`;
    const index = `apiVersion: v1\nentries:\n  x:\n${[first, ...versions].join('\n')}\n`;
    await expect(read(index)).rejects.toThrow('expands to more than is allowed');
  });

  it('may have many versions of one chart', async () => {
    const versions = Array.from({ length: 3000 }, (_, at) => `  - {name: x, version: 1.${at}.0, urls: [x-${at}.tgz]}`);
    const { charts, summary } = await read(`apiVersion: v1\nentries:\n  x:\n${versions.join('\n')}\n`);
    expect(summary).toEqual({ charts: 1, versions: 3000, skipped: 0 });
    expect(charts.map(({ name }) => name)).toEqual(['x']);
    const found = charts.flatMap(({ versions }) => versions.map(({ entry }) => entry.version));
    expect(found).toEqual(Array.from({ length: 3000 }, (_, at) => `1.${2999 - at}.0`));
  });

  it('has a largest size', async () => {
    const content = { size: LARGEST_INDEX + 1, stream: () => stream(Buffer.from(HELM)) };
    await expect(Array.fromAsync(readIndexRows(content, PARAMETERS))).rejects.toThrow('bytes at most');
  });

  it('ends its source when nobody reads on', async () => {
    let open = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      open += 1;
      try {
        yield* stream(Buffer.from(`${HELM}# ${'x'.repeat(600_000)}\n`));
      } finally {
        open -= 1;
      }
    }
    for await (const _ of readIndexRows({ size: 1000, stream: counted }, PARAMETERS)) {
      expect(open).toBe(1);
      break;
    }
    expect(open).toBe(0);
  });
});
