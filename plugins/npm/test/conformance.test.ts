import { createHash } from 'node:crypto';
import { describe, it } from 'vitest';
import type { ProtocolPlugin } from '@entrepot/core';
import { protocolSuite, type ProtocolCase } from '@entrepot/core/testing';
import plugin from '../src/index.js';

const INSTALL = 'application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*';
const json = (value: unknown): { body: string; mediaType: string } => ({
  body: JSON.stringify(value),
  mediaType: 'application/json',
});
const tarball = (name: string): { body: string; mediaType: string } => ({
  body: `the tarball of ${name}`,
  mediaType: 'application/octet-stream',
});

/** A packument as a registry at `{{upstream}}` gives it. */
function packument(name: string, versions: readonly string[]): { body: string; mediaType: string } {
  const unscoped = name.slice(name.indexOf('/') + 1);
  const manifests = versions.map((version) => {
    const integrity = `sha512-${createHash('sha512').update(`the tarball of ${name}@${version}`).digest('base64')}`;
    const attestations = { url: `{{upstream}}/-/npm/v1/attestations/${name.replace('/', '%2f')}@${version}` };
    const dist = { integrity, tarball: `{{upstream}}/${name}/-/${unscoped}-${version}.tgz`, attestations };
    return [version, { name, version, dist, scripts: { install: 'node install.js' } }];
  });
  return json({
    name,
    'dist-tags': { latest: versions.at(-1) },
    versions: Object.fromEntries(manifests) as unknown,
    time: Object.fromEntries(versions.map((version) => [version, '2020-01-01T00:00:00.000Z'])) as unknown,
    readme: 'text',
  });
}

/** A packument, the document of one version, or one of tags alone. */
interface Packument extends Readonly<Record<string, unknown>> {
  readonly version?: string;
  readonly versions?: object;
  readonly 'dist-tags'?: object;
}

const cases: readonly ProtocolCase[] = [
  { request: '/pkg', resource: { kind: 'document', key: 'packument/pkg', variant: 'full' }, status: 200 },
  {
    request: { path: '/pkg', headers: { accept: INSTALL } },
    resource: { kind: 'document', key: 'packument/pkg', variant: 'abbreviated' },
    status: 200,
  },
  { request: '/@s%2fp', resource: { kind: 'document', key: 'packument/@s/p' }, status: 200 },
  { request: '/@s/p', resource: { kind: 'document', key: 'packument/@s/p' }, status: 200 },
  {
    request: '/@s/p/latest',
    resource: { kind: 'document', key: 'packument/@s/p', variant: 'version:latest' },
    status: 200,
  },
  {
    request: '/pkg/1.0.0',
    resource: { kind: 'document', key: 'packument/pkg', variant: 'version:1.0.0' },
    status: 200,
  },
  { request: '/pkg/9.9.9', resource: { kind: 'document', key: 'packument/pkg' }, status: 404 },
  {
    request: '/-/package/pkg/dist-tags',
    resource: { kind: 'document', key: 'packument/pkg', variant: 'dist-tags' },
    status: 200,
  },
  { request: '/pkg/-/pkg-1.0.0.tgz', resource: { kind: 'artifact', key: 'tarball/pkg/-/pkg-1.0.0.tgz' }, status: 200 },
  { request: '/pkg/-/pkg-2.0.0.tgz', resource: { kind: 'artifact', key: 'tarball/pkg/-/pkg-2.0.0.tgz' }, status: 200 },
  { request: '/@s/p/-/p-1.0.0.tgz', resource: { kind: 'artifact', key: 'tarball/@s/p/-/p-1.0.0.tgz' }, status: 200 },
  {
    request: '/@s%2fp/-/@s/p-1.0.0.tgz',
    resource: { kind: 'artifact', key: 'tarball/@s/p/-/p-1.0.0.tgz' },
    status: 200,
  },
  { request: '/pkg/-/pkg-9.9.9.tgz', resource: { kind: 'artifact', key: 'tarball/pkg/-/pkg-9.9.9.tgz' }, status: 404 },
  {
    request: '/-/npm/v1/attestations/@s%2fp@1.0.0',
    resource: { kind: 'document', key: 'attestations/@s/p@1.0.0' },
    status: 200,
  },
  { request: '/-/npm/v1/keys', resource: { kind: 'document', key: 'keys' }, status: 200 },
  { request: '/-/v1/search?text=pkg&size=20', resource: { kind: 'passthrough', name: 'search' }, status: 200 },
  { request: '/-/ping', resource: { kind: 'local', status: 200 }, status: 200 },
  { request: '/-/whoami', resource: { kind: 'local', status: 401 }, status: 401 },
  { request: '/-/all', resource: { kind: 'local', status: 404 }, status: 404 },
  { request: '/absent', resource: { kind: 'document', key: 'packument/absent' }, status: 404 },
  { request: '/node_modules', resource: undefined, status: 404 },
  { request: '/@s%252fp', resource: undefined, status: 404 },
  { request: { method: 'PUT', path: '/pkg' }, resource: 'method-not-allowed', status: 405 },
];

protocolSuite(
  { describe, it },
  {
    plugin: plugin as unknown as ProtocolPlugin,
    fixtures: {
      pkg: packument('pkg', ['1.0.0', '2.0.0']),
      '@s%2fp': packument('@s/p', ['1.0.0']),
      'pkg/-/pkg-1.0.0.tgz': tarball('pkg@1.0.0'),
      'pkg/-/pkg-2.0.0.tgz': tarball('pkg@2.0.0'),
      '@s/p/-/p-1.0.0.tgz': tarball('@s/p@1.0.0'),
      '-/npm/v1/attestations/@s%2fp@1.0.0': json({ attestations: [] }),
      '-/npm/v1/keys': json({ keys: [] }),
      '-/v1/search?text=pkg&size=20': json({ objects: [], total: 0 }),
    },
    cases,
    // What policy refuses stands in `policyRestrictions`.
    mentions: (body) => {
      const { version, versions = {}, 'dist-tags': tags, ...rest } = JSON.parse(body) as Packument;
      return [version, ...Object.keys(versions), ...Object.values(tags ?? rest)].filter(
        (one) => typeof one === 'string',
      );
    },
  },
);
