import { createHash } from 'node:crypto';
import { protocolSuite, type ProtocolCase } from '@entrepot/core/testing';
import { load } from 'js-yaml';
import { describe, it } from 'vitest';
import plugin from '../src/index.js';
import { chart } from './fixtures.js';

const nginx = chart({ 'Chart.yaml': 'apiVersion: v2\nname: nginx\nversion: 1.0.0\n' });
const redis = chart({ 'Chart.yaml': 'apiVersion: v2\nname: redis\nversion: 2.0.0+b.1\n' });
const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const index = `apiVersion: v1
entries:
  nginx:
  - apiVersion: v2
    name: nginx
    version: 1.0.0
    created: "2024-01-01T00:00:00Z"
    digest: ${sum(nginx)}
    urls:
    - charts/nginx-1.0.0.tgz
  redis:
  - apiVersion: v2
    name: redis
    version: 2.0.0+b.1
    created: "2024-02-01T00:00:00Z"
    digest: ${sum(redis)}
    urls:
    - "{{upstream}}/charts/redis-2.0.0+b.1.tgz"
generated: "2024-01-01T00:00:00Z"
`;

const cases: readonly ProtocolCase[] = [
  { request: '/index.yaml', resource: { kind: 'document', class: 'index', key: 'index.yaml' }, status: 200 },
  {
    request: '/charts/nginx-1.0.0.tgz',
    resource: { kind: 'artifact', class: 'chart', key: 'charts/nginx-1.0.0.tgz', mediaType: 'application/x-tar' },
    status: 200,
  },
  { request: '/charts/redis-2.0.0+b.1.tgz', resource: { kind: 'artifact', class: 'chart' }, status: 200 },
  { request: '/charts/redis-2.0.0%2Bb.1.tgz', resource: { kind: 'artifact', class: 'chart' }, status: 200 },
  { request: '/charts/nginx-1.0.0.tgz.prov', resource: { kind: 'artifact', class: 'provenance' }, status: 200 },
  { request: '/charts/redis-2.0.0+b.1.tgz.prov', resource: { kind: 'artifact', class: 'provenance' }, status: 404 },
  { request: '/charts/nginx-9.0.0.tgz', resource: { kind: 'artifact', class: 'chart' }, status: 404 },
  { request: '/charts/0123456789ab/nginx-1.0.0.tgz', resource: { kind: 'artifact', class: 'chart' }, status: 404 },
  { request: '/', resource: undefined, status: 404 },
  { request: '/index.yaml/', resource: undefined, status: 404 },
  { request: '/charts/nginx-1.0.0.zip', resource: undefined, status: 404 },
  { request: '/charts/.tgz', resource: undefined, status: 404 },
  { request: '/api/charts', resource: undefined, status: 404 },
  { request: { method: 'POST', path: '/index.yaml' }, resource: 'method-not-allowed', status: 405 },
  { request: { method: 'DELETE', path: '/charts/nginx-1.0.0.tgz' }, resource: 'method-not-allowed', status: 405 },
];

for (const options of [{}, { index: 'json' }]) {
  protocolSuite(
    { describe, it },
    {
      plugin,
      options,
      fixtures: {
        'index.yaml': { body: index, mediaType: 'text/yaml' },
        'charts/nginx-1.0.0.tgz': { body: nginx, mediaType: 'application/gzip' },
        'charts/nginx-1.0.0.tgz.prov': { body: '-----BEGIN PGP SIGNED MESSAGE-----\n', mediaType: 'text/plain' },
        'charts/redis-2.0.0+b.1.tgz': { body: redis, mediaType: 'application/gzip' },
      },
      cases,
      links: (body) => {
        const { entries } = load(body) as { entries: Record<string, { urls: string[] }[]> };
        return Object.values(entries).flatMap((versions) => versions.flatMap(({ urls }) => urls));
      },
    },
  );
}
