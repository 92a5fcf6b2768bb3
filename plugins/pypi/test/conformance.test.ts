import { describe, it } from 'vitest';
import { protocolSuite, type ProtocolCase } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { HTML_TYPE, JSON_TYPE, sha256, tag } from './fixtures.js';

interface Recorded {
  readonly body: string;
  readonly mediaType: string;
}

const WHEEL = 'the wheel of demo 1.0';
const METADATA = 'Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n';
const SDIST = 'the sdist of demo 2.0';
const OLD = 'the sdist of old.project 0.1';

const bytes = (body: string): Recorded => ({ body, mediaType: 'application/octet-stream' });

const demo: Recorded = {
  mediaType: JSON_TYPE,
  body: JSON.stringify({
    meta: { 'api-version': '1.1', '_last-serial': 1 },
    name: 'demo',
    versions: ['1.0', '2.0'],
    files: [
      {
        filename: 'demo-1.0-py3-none-any.whl',
        url: '{{upstream}}/packages/aa/demo-1.0-py3-none-any.whl',
        hashes: { sha256: sha256(WHEEL) },
        'core-metadata': { sha256: sha256(METADATA) },
        'requires-python': '>=3.8',
        size: WHEEL.length,
        'upload-time': '2020-01-01T00:00:00.000000Z',
        yanked: false,
      },
      {
        filename: 'demo-2.0.tar.gz',
        url: '../../packages/bb/demo-2.0.tar.gz',
        hashes: { sha256: sha256(SDIST) },
        size: SDIST.length,
        'upload-time': '2021-01-01T00:00:00.000000Z',
        yanked: 'broken',
      },
    ],
  }),
};

const old: Recorded = {
  mediaType: 'text/html',
  body: `<!DOCTYPE html><html><head><title>Links for old.project</title></head><body>
    <a href="{{upstream}}/packages/old.project-0.1.tar.gz#sha256=${sha256(OLD)}">old.project-0.1.tar.gz</a></body></html>`,
};

const legacy = (version: string, filename: string, content: string): Record<string, unknown> => ({
  filename,
  url: `{{upstream}}/packages/${filename}`,
  digests: { sha256: sha256(content) },
  upload_time_iso_8601: version === '1.0' ? '2020-01-01T00:00:00Z' : '2021-01-01T00:00:00Z',
  version,
});
const legacyWheel = legacy('1.0', 'demo-1.0-py3-none-any.whl', WHEEL);
const legacySdist = legacy('2.0', 'demo-2.0.tar.gz', SDIST);

const document = (value: unknown): Recorded => ({ body: JSON.stringify(value), mediaType: 'application/json' });
const accept = (type: string): { headers: Record<string, string> } => ({ headers: { accept: type } });

const wheelPath = `/files/demo/${tag(WHEEL)}/demo-1.0-py3-none-any.whl`;
const sdistPath = `/files/demo/${tag(SDIST)}/demo-2.0.tar.gz`;

const cases: readonly ProtocolCase[] = [
  { request: '/simple/', resource: { kind: 'document', key: 'simple/', variant: 'text' }, status: 200 },
  {
    request: { path: '/simple/', ...accept(JSON_TYPE) },
    resource: { kind: 'document', key: 'simple/', variant: 'json' },
    status: 200,
  },
  { request: '/simple/demo/', resource: { kind: 'document', key: 'simple/demo', variant: 'text' }, status: 200 },
  {
    request: { path: '/simple/demo/', ...accept(JSON_TYPE) },
    resource: { kind: 'document', key: 'simple/demo', variant: 'json', mediaType: JSON_TYPE },
    status: 200,
  },
  {
    request: { path: '/simple/demo/', ...accept(HTML_TYPE) },
    resource: { kind: 'document', key: 'simple/demo', variant: 'html', mediaType: HTML_TYPE },
    status: 200,
  },
  { request: '/simple/old-project/', resource: { kind: 'document', key: 'simple/old-project' }, status: 200 },
  { request: '/simple/old.project/', resource: { kind: 'local', status: 301 }, status: 301 },
  { request: '/simple/demo', resource: { kind: 'local', status: 301 }, status: 301 },
  { request: '/simple/absent/', resource: { kind: 'document', key: 'simple/absent' }, status: 404 },
  { request: '/simple/acme%20sdk/', resource: undefined, status: 404 },
  { request: wheelPath, resource: { kind: 'artifact', class: 'file' }, status: 200 },
  { request: `${wheelPath}.metadata`, resource: { kind: 'artifact', class: 'metadata' }, status: 200 },
  { request: `${wheelPath}.asc`, resource: { kind: 'artifact', class: 'signature' }, status: 404 },
  { request: sdistPath, resource: { kind: 'artifact', class: 'file' }, status: 200 },
  { request: `${sdistPath}.metadata`, resource: { kind: 'artifact', class: 'metadata' }, status: 404 },
  {
    request: `/files/old-project/${tag(OLD)}/old.project-0.1.tar.gz`,
    resource: { kind: 'artifact', coordinates: { ecosystem: 'pypi', name: 'old-project', version: '0.1' } },
    status: 200,
  },
  { request: `/files/other/${tag(WHEEL)}/demo-1.0-py3-none-any.whl`, resource: undefined, status: 404 },
  { request: '/files/demo/0000000000000000/demo-1.0.tar.gz', resource: { kind: 'artifact' }, status: 404 },
  { request: '/pypi/demo/json', resource: { kind: 'document', key: 'pypi/demo/json' }, status: 200 },
  { request: '/pypi/demo/1.0/json', resource: { kind: 'document', key: 'pypi/demo/1.0/json' }, status: 200 },
  {
    request: '/integrity/demo/1.0/demo-1.0-py3-none-any.whl/provenance',
    resource: { kind: 'document', class: 'provenance' },
    status: 200,
  },
  { request: { method: 'POST', path: '/legacy/' }, resource: 'method-not-allowed', status: 405 },
  { request: '/demo/', resource: undefined, status: 404 },
];

protocolSuite(
  { describe, it },
  {
    plugin,
    fixtures: {
      'simple/': document({ meta: { 'api-version': '1.0' }, projects: [{ name: 'demo' }, { name: 'old.project' }] }),
      'simple/demo/': demo,
      'simple/old-project/': old,
      'packages/aa/demo-1.0-py3-none-any.whl': bytes(WHEEL),
      'packages/aa/demo-1.0-py3-none-any.whl.metadata': bytes(METADATA),
      'packages/bb/demo-2.0.tar.gz': bytes(SDIST),
      'packages/old.project-0.1.tar.gz': bytes(OLD),
      'pypi/demo/json': document({
        info: { name: 'demo', version: '2.0' },
        last_serial: 1,
        releases: { '1.0': [legacyWheel], '2.0': [legacySdist] },
        urls: [legacySdist],
        vulnerabilities: [],
      }),
      'pypi/demo/1.0/json': document({ info: { name: 'demo', version: '1.0' }, urls: [legacyWheel] }),
      'integrity/demo/1.0/demo-1.0-py3-none-any.whl/provenance': {
        ...document({ version: 1, attestation_bundles: [] }),
        mediaType: 'application/vnd.pypi.integrity.v1+json',
      },
    },
    cases,
    links(body, mediaType) {
      if (mediaType.includes('html')) return [...body.matchAll(/href="([^"]+)"/g)].map((match) => match[1] as string);
      return [...body.matchAll(/"url":"([^"]+)"/g)].map((match) => match[1] as string);
    },
  },
);
