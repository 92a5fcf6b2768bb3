import type { Asked } from './server.js';

/** A request with a place for a string. */
export type Route = (text: string) => Asked;

const DIGEST = `sha256:${'a'.repeat(64)}`;

/** Paths with `{}` for the string, percent-encoded, or `{/}` for one whose slashes stay. */
const PATHS = [
  '/npm/{}',
  '/npm/@s/{}',
  '/npm/{}/latest',
  '/npm/pkg/{}',
  '/npm/{}/-/{}-1.0.0.tgz',
  '/npm/pkg/-/pkg-{}.tgz',
  '/npm/-/package/{}/dist-tags',
  '/npm/-/v1/search?text={}',
  '/npm/-/npm/v1/attestations/{}',
  '/pypi/simple/{}/',
  '/pypi/pypi/{}/json',
  '/pypi/pypi/demo/{}/json',
  '/pypi/files/demo/aa/{}',
  '/pypi/files/demo/aa/demo-{}.tar.gz',
  '/pypi/integrity/demo/{}/demo-1.0.tar.gz/provenance',
  '/go/{/}/@v/list',
  '/go/{/}/@latest',
  '/go/a.test/m/@v/{}.info',
  '/go/a.test/m/@v/{}.zip',
  '/go/sumdb/sum.test/lookup/{/}',
  '/go/sumdb/sum.test/tile/8/0/{/}',
  '/v2/images/{/}/manifests/latest',
  '/v2/images/app/manifests/{}',
  '/v2/images/app/blobs/{}',
  '/v2/images/app/tags/list?n=5&last={}',
  `/v2/images/app/referrers/${DIGEST}?artifactType={}`,
  '/v2/images/app/tags/list?ns={}',
  '/v2/store/{/}/tags/list',
  '/v2/store/app/manifests/{}',
  '/v2/_catalog?last={}',
  '/charts/charts/{}',
  '/charts/{/}/index.yaml',
  '/own-charts/api/charts/{}',
  '/own-charts/api/charts/app/{}',
  '/files/{/}',
  '/files/a.txt?{}',
  '/kept/{/}',
  '/{/}',
  '/-/token?service=x&scope={}',
  '/-/explain/{/}',
  '/-/explain/pkg:npm/{/}',
  '/-/explain/pkg:pypi/demo@{}',
  '/-/explain/pkg:npm/pkg@{}',
  '/-/api/v1/explain?purl=pkg:pypi/demo@{}',
  '/-/api/v1/impact?advisory={}',
  '/-/api/v1/quarantine?state={}',
  '/-/api/v1/decisions?limit={}',
  '/v1/vulns/{}',
];

/** Bodies with the string in them, as JSON or as they are. Who is no administrator is refused before a form is read. */
const BODIES: readonly (readonly [method: string, path: string, body: (text: string) => string, type?: string])[] = [
  ['POST', '/npm/-/npm/v1/security/advisories/bulk', (text) => JSON.stringify({ [text]: [text], tool: [text] })],
  ['POST', '/npm/-/npm/v1/security/advisories/bulk', (text) => text],
  [
    'POST',
    '/npm/-/npm/v1/security/audits/quick',
    (text) => JSON.stringify({ requires: { [text]: text }, dependencies: { [text]: { version: text } } }),
  ],
  ['POST', '/v1/query', (text) => JSON.stringify({ package: { purl: text } })],
  ['POST', '/v1/query', (text) => JSON.stringify({ package: { ecosystem: 'PyPI', name: 'tool' }, version: text })],
  [
    'POST',
    '/v1/query',
    (text) => JSON.stringify({ package: { ecosystem: 'Packagist', name: 'a/tool' }, version: text }),
  ],
  ['POST', '/v1/query', (text) => JSON.stringify({ package: { ecosystem: 'Maven', name: 'a:tool' }, version: text })],
  ['POST', '/v1/query', (text) => JSON.stringify({ package: { ecosystem: text, name: text } })],
  [
    'POST',
    '/v1/querybatch',
    (text) =>
      JSON.stringify({
        queries: [{ package: { purl: text } }, { package: { ecosystem: 'npm', name: text }, version: text }],
      }),
  ],
  ['POST', '/v1/querybatch', (text) => text],
  [
    'POST',
    '/-/api/v1/exceptions',
    (text) => JSON.stringify({ purl: [text], versions: [text], rules: [text], reason: text, by: text, expires: text }),
  ],
  ['POST', '/-/api/v1/exceptions', (text) => text],
  [
    'POST',
    '/-/api/v1/policy/simulate',
    (text) => JSON.stringify({ rules: [{ id: 'x', match: { purl: [text], versions: [text] }, action: 'deny' }] }),
  ],
  [
    'POST',
    '/-/api/v1/quarantine/release',
    (text) => JSON.stringify({ repository: 'npm', purl: text, by: 'x', reason: text }),
  ],
  [
    'POST',
    '/-/api/v1/sbom',
    (text) =>
      JSON.stringify({ bomFormat: 'CycloneDX', components: [{ purl: text, licenses: [{ expression: text }] }] }),
  ],
  [
    'POST',
    '/-/token',
    (text) => `grant_type=password&scope=${encodeURIComponent(text)}`,
    'application/x-www-form-urlencoded',
  ],
  [
    'PUT',
    '/v2/store/app/manifests/latest',
    (text) => JSON.stringify({ schemaVersion: 2, mediaType: text, config: { mediaType: text, digest: text, size: 1 } }),
    'application/vnd.oci.image.manifest.v1+json',
  ],
  ['POST', '/own-charts/api/charts', (text) => text, 'multipart/form-data; boundary=x'],
  ['POST', '/own-charts/api/charts', (text) => text, 'application/gzip'],
];

/** Headers that are read, with a path on which they are. */
const HEADERS = [
  ['host', '/npm/pkg'],
  ['accept', '/pypi/simple/demo/'],
  ['accept-encoding', '/npm/pkg'],
  ['authorization', '/closed/a.txt'],
  ['range', '/kept/a.txt'],
  ['if-none-match', '/kept/a.txt'],
  ['if-range', '/kept/a.txt'],
  ['x-forwarded-host', '/npm/pkg'],
  ['x-forwarded-for', '/npm/pkg'],
  ['forwarded', '/npm/pkg'],
  ['origin', '/-/api/v1/policy'],
] as const;

/** Every route of every protocol and of the host, by what it is called in a report. */
export const ROUTES: ReadonlyMap<string, Route> = new Map([
  ...PATHS.map((path): [string, Route] => [
    `GET ${path}`,
    (text) => ({ method: 'GET', path: filled(path, text), headers: {} }),
  ]),
  ...BODIES.map(([method, path, body, type = 'application/json'], index): [string, Route] => [
    `${method} ${path} (${index})`,
    (text) => ({ method, path, headers: { 'content-type': type }, body: body(text) }),
  ]),
  ...HEADERS.map(([name, path]): [string, Route] => [
    `${name} of GET ${path}`,
    // Requests that an HTTP client would not even send.
    (text) => ({
      method: 'GET',
      path,
      headers: { [name]: text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?') },
    }),
  ]),
]);

function filled(path: string, text: string): string {
  const encoded = encodeURIComponent(text);
  return path.replaceAll('{/}', () => encoded.replaceAll('%2F', '/')).replaceAll('{}', () => encoded);
}
