import { createHash } from 'node:crypto';
import { describe, it } from 'vitest';
import { hostedProtocolSuite, protocolSuite } from '@entrepot/core/testing';
import type { HostedUpload, ProtocolCase } from '@entrepot/core/testing';
import plugin from '../src/index.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const options = {
  rules: [
    { match: 'private/**', policy: 'deny' },
    { match: 'pinned.bin', policy: 'immutable', checksum: { sha256: sha256('pinned') } },
    { match: '**/*.tgz', policy: 'immutable', checksum: { sidecar: '.sha256' } },
    { match: '**/*.iso', policy: 'immutable', checksum: { sidecar: 'SHA256SUMS' } },
    { match: '**/*.json', policy: 'revalidate', freshFor: '30s' },
  ],
};

const cases: readonly ProtocolCase[] = [
  { request: '/pinned.bin', resource: { kind: 'artifact', class: 'artifact', key: 'pinned.bin' }, status: 200 },
  { request: '/v1/a+b.tgz', resource: { kind: 'artifact', key: 'v1/a+b.tgz', filename: 'a+b.tgz' }, status: 200 },
  { request: '/v1/a%2Bb.tgz', resource: { kind: 'artifact', key: 'v1/a+b.tgz' }, status: 200 },
  { request: '/v1/c%20d.tgz', resource: { kind: 'artifact', upstreamPath: 'v1/c%20d.tgz' }, status: 200 },
  { request: '/v1/disc.iso', resource: { kind: 'artifact', key: 'v1/disc.iso' }, status: 200 },
  { request: '/v1/unlisted.iso', resource: { kind: 'artifact', key: 'v1/unlisted.iso' }, status: 404 },
  { request: '/v1/SHA256SUMS', resource: { kind: 'document', class: 'checksum' }, status: 200 },
  { request: '/v1/c%20d.tgz.sha256', resource: { kind: 'document', class: 'checksum' }, status: 200 },
  { request: '/index.json', resource: { kind: 'document', class: 'document', key: 'index.json' }, status: 200 },
  { request: '/page.json?n=2', resource: { kind: 'document', key: 'page.json?n=2' }, status: 200 },
  { request: '/v1/', resource: { kind: 'document', key: 'v1/', upstreamPath: 'v1/' }, status: 200 },
  { request: '/g%2Fp/notes', resource: { kind: 'document', key: 'g%2Fp/notes' }, status: 200 },
  { request: '/absent', resource: { kind: 'document', key: 'absent' }, status: 404 },
  { request: '/private/a', resource: 'forbidden', status: 403 },
  { request: '/private%2Fa', resource: 'forbidden', status: 403 },
  { request: { method: 'PUT', path: '/index.json' }, resource: 'method-not-allowed', status: 405 },
];

protocolSuite(
  { describe, it },
  {
    plugin,
    options,
    fixtures: {
      'pinned.bin': { body: 'pinned' },
      'v1/a%2Bb.tgz': { body: 'one', mediaType: 'application/gzip' },
      'v1/a%2Bb.tgz.sha256': { body: sha256('one') },
      'v1/c%20d.tgz': { body: 'two', mediaType: 'application/gzip' },
      'v1/c%20d.tgz.sha256': { body: `${sha256('two')}  c d.tgz\n` },
      'v1/disc.iso': { body: 'three' },
      'v1/unlisted.iso': { body: 'four' },
      'v1/SHA256SUMS': { body: `${sha256('three')} *disc.iso\n` },
      'index.json': { body: '{"page":1}', mediaType: 'application/json' },
      'page.json?n=2': { body: '{"page":2}', mediaType: 'application/json' },
      'v1/': { body: '<a href="disc.iso">disc.iso</a>', mediaType: 'text/html' },
      'g%2Fp/notes': { body: 'notes', mediaType: 'text/plain' },
      'private/a': { body: 'secret' },
    },
    cases,
  },
  // Files are passed on as they are, and a path does not say which part of it is a version.
  { rewriting: false, policy: false },
);

const hostedUpload = (path: string, body: string): HostedUpload => ({
  put: { method: 'PUT', path: `/${path}`, body },
  get: `/${path}`,
  bytes: body,
  again: { method: 'PUT', path: `/${path}`, body: `other ${body}` },
  againBytes: `other ${body}`,
  remove: { method: 'DELETE', path: `/${path}` },
  listed: { in: `/${path.slice(0, path.lastIndexOf('/') + 1)}`, as: `./${path.slice(path.lastIndexOf('/') + 1)}"` },
});

hostedProtocolSuite(
  { describe, it },
  {
    plugin,
    options: { allowDelete: true },
    uploads: [
      hostedUpload('top.txt', 'one'),
      hostedUpload('v1/tool.tgz', 'two'),
      hostedUpload('v1/other%20tool.tgz', 'three'),
      hostedUpload('deep/er/still/empty', ''),
    ],
  },
);
