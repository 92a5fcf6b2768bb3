import { describe, it } from 'vitest';
import { protocolSuite, type ProtocolCase } from '@entrepot/core/testing';
import { decodeModule, proxyAnswer } from '@entrepot/fixtures/go-database';
import plugin from '../src/index.js';
import { fixture } from './fixtures.js';

const { database, modules } = fixture();

/** The last records are at the edge: all tiles that the proofs of these modules need. */
const PATHS = [
  'example.com/one/@v/list',
  'example.com/one/@latest',
  'example.com/one/@v/v1.0.0.info',
  'example.com/one/@v/v1.0.0.mod',
  'example.com/one/@v/v1.0.0.zip',
  'example.com/one/@v/v1.1.0.zip',
  'example.com/%21upper/%21foo/@v/v1.1.0-%21r%21c1.zip',
  'sumdb/sumdb.test/latest',
  'sumdb/sumdb.test/lookup/example.com/one@v1.0.0',
  'sumdb/sumdb.test/lookup/example.com/one@v1.1.0',
  'sumdb/sumdb.test/lookup/example.com/%21upper/%21foo@v1.1.0-%21r%21c1',
  ...[0, 1, 2].map((index) => `sumdb/sumdb.test/tile/8/0/00${index}`),
  `sumdb/sumdb.test/tile/8/0/003.p/${database.size - 768}`,
  'sumdb/sumdb.test/tile/8/1/000.p/3',
];

const fixtures = Object.fromEntries(
  PATHS.map((path) => [
    path,
    proxyAnswer(modules, database, decodeModule(path)) as { body: Buffer; mediaType: string },
  ]),
);

const cases: readonly ProtocolCase[] = [
  { request: '/example.com/one/@v/list', resource: { kind: 'document', class: 'list' }, status: 200 },
  { request: '/example.com/one/@latest', resource: { kind: 'document', class: 'latest' }, status: 200 },
  { request: '/example.com/one/@v/v1.0.0.info', resource: { kind: 'artifact', class: 'info' }, status: 200 },
  { request: '/example.com/one/@v/v1.0.0.mod', resource: { kind: 'artifact', class: 'mod' }, status: 200 },
  { request: '/example.com/one/@v/v1.0.0.zip', resource: { kind: 'artifact', class: 'zip' }, status: 200 },
  { request: '/example.com/one/@v/v1.1.0.zip', resource: { kind: 'artifact', class: 'zip' }, status: 200 },
  {
    request: '/example.com/%21upper/!foo/@v/v1.1.0-%21r!c1.zip',
    resource: {
      key: 'example.com/Upper/Foo/@v/v1.1.0-RC1.zip',
      path: 'example.com/%21upper/%21foo/@v/v1.1.0-%21r%21c1.zip',
    },
    status: 200,
  },
  { request: '/example.com/one/@v/main.info', resource: { kind: 'document', class: 'query' }, status: 404 },
  { request: '/example.com/one/@v/v2.0.0.info', resource: { kind: 'document', class: 'query' }, status: 404 },
  { request: '/example.com/one/@v/v2.0.0.zip', resource: undefined, status: 404 },
  { request: '/sumdb/sumdb.test/supported', resource: { kind: 'local', status: 200 }, status: 200 },
  { request: '/sumdb/other.test/supported', resource: undefined, status: 404 },
  { request: '/index', resource: undefined, status: 404 },
  { request: '/sumdb/sumdb.test/latest', resource: { kind: 'document', class: 'checksum-head' }, status: 200 },
  {
    request: '/sumdb/sumdb.test/lookup/example.com/one@v1.0.0',
    resource: { kind: 'document', class: 'checksum-record' },
    status: 200,
  },
  {
    request: '/sumdb/sumdb.test/tile/8/0/001',
    resource: { kind: 'artifact', class: 'checksum-tile' },
    status: 200,
  },
  { request: '/sumdb/sumdb.test/lookup/corp.example.com/a@v1.0.0', resource: 'forbidden', status: 403 },
  { request: '/hidden.example.com/a/@v/list', resource: 'not-found', status: 404 },
  { request: { method: 'PUT', path: '/example.com/one/@v/list' }, resource: 'method-not-allowed', status: 405 },
];

protocolSuite(
  { describe, it },
  {
    plugin,
    options: { sumdb: database.verifierKey, unverified: ['corp.example.com'], private: ['hidden.example.com'] },
    fixtures,
    cases,
    links: 'none',
    mentions: (body, mediaType) =>
      mediaType === 'application/json'
        ? [(JSON.parse(body) as { Version: string }).Version]
        : body.split('\n').filter((line) => /^v[^ ]+$/.test(line)),
  },
  // Versions are only dated where a rule looks at dates: policy.test.ts.
  { dates: false },
);
