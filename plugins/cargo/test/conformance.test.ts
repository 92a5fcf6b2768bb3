import { hostedProtocolSuite, protocolSuite, type ProtocolCase } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/index.js';
import { crate, line, publish, sha256 } from './fixtures.js';

const bytes = 'the crate';
const other = 'another crate';
const dated = { pubtime: '2020-01-01T00:00:00Z' };

const cases: readonly ProtocolCase[] = [
  { request: '/config.json', resource: { kind: 'document', key: 'config.json', variant: 'open' }, status: 200 },
  {
    request: { path: '/config.json', headers: { authorization: 'token' } },
    resource: { kind: 'document', key: 'config.json', variant: 'guarded' },
    status: 200,
  },
  { request: '/de/mo/demo', resource: { kind: 'document', key: 'index/de/mo/demo' }, status: 200 },
  { request: '/3/a/abc', resource: { kind: 'document', class: 'index' }, status: 200 },
  { request: '/1/a', resource: { kind: 'document', class: 'index' }, status: 404 },
  { request: '/2/ab', resource: { kind: 'document', class: 'index' }, status: 404 },
  {
    request: `/api/v1/crates/Demo/1.0.0/${sha256(bytes)}/download`,
    resource: { kind: 'artifact', key: `crate/demo/1.0.0/${sha256(bytes)}` },
    status: 200,
  },
  { request: '/api/v1/crates/demo/1.0.0/download', resource: { kind: 'alias', class: 'download' }, status: 200 },
  {
    request: `/api/v1/crates/demo/1.1.0+b.1/${sha256(other)}/download`,
    resource: { kind: 'artifact', key: `crate/demo/1.1.0+b.1/${sha256(other)}` },
    status: 200,
  },
  { request: `/api/v1/crates/abc/1.0.0/${sha256(bytes)}/download`, resource: { kind: 'artifact' }, status: 200 },
  { request: `/api/v1/crates/abc/1.0.0/${sha256(other)}/download`, resource: { kind: 'artifact' }, status: 404 },
  { request: '/api/v1/crates/demo/9.0.0/download', resource: { kind: 'alias' }, status: 404 },
  { request: '/api/v1/crates/demo/1.0/download', resource: undefined, status: 404 },
  { request: '/api/v1/crates/demo/1.0.0/abc/download', resource: undefined, status: 404 },
  { request: '/api/v1/crates?q=a', resource: { kind: 'local', status: 404 }, status: 404 },
  { request: '/me', resource: { kind: 'local', status: 200 }, status: 200 },
  { request: '/De/mo/Demo', resource: undefined, status: 404 },
  { request: '/de/mo/other', resource: undefined, status: 404 },
  { request: '/', resource: undefined, status: 404 },
  { request: { method: 'PUT', path: '/api/v1/crates/new' }, resource: 'method-not-allowed', status: 405 },
];

protocolSuite(
  { describe, it },
  {
    plugin,
    fixtures: {
      'config.json': {
        body: '{"dl":"{{upstream}}/dl/{prefix}/{lowerprefix}/{crate}-{version}-{sha256-checksum}.crate"}',
        mediaType: 'application/json',
      },
      'de/mo/demo': {
        body: line('demo', '1.0.0', bytes, dated) + line('demo', '1.1.0+b.1', other, dated),
        mediaType: 'text/plain',
      },
      '3/a/abc': { body: line('Abc', '1.0.0', bytes), mediaType: 'text/plain' },
      [`dl/de/mo/de/mo/demo-1.0.0-${sha256(bytes)}.crate`]: { body: bytes },
      [`dl/de/mo/de/mo/demo-1.1.0%2Bb.1-${sha256(other)}.crate`]: { body: other },
      [`dl/3/A/3/a/Abc-1.0.0-${sha256(bytes)}.crate`]: { body: bytes },
    },
    cases,
    links: 'none',
    // What policy refuses is yanked: cargo takes it for nothing new.
    mentions: (body) =>
      body
        .split('\n')
        .filter((text) => text.startsWith('{"name"'))
        .map((text) => JSON.parse(text) as { vers: string; yanked: boolean })
        .flatMap(({ vers, yanked }) => (yanked ? [] : [vers])),
  },
);

const first = crate('demo', '1.0.0');
const again = crate('demo', '1.0.0', '// other');
const second = crate('two_words', '1.0.0-rc.1+x');

hostedProtocolSuite(
  { describe, it },
  {
    plugin,
    uploads: [
      {
        put: publish('demo', '1.0.0', first),
        get: '/api/v1/crates/demo/1.0.0/download',
        bytes: first,
        again: publish('demo', '1.0.0', again),
        againBytes: again,
        listed: { in: '/de/mo/demo', as: `${sha256(first)}","features":{},"yanked":false` },
      },
      {
        put: publish('two_words', '1.0.0-rc.1+x', second),
        get: `/api/v1/crates/two_words/1.0.0-rc.1+x/${sha256(second)}/download`,
        bytes: second,
        listed: { in: '/api/v1/crates?q=words', as: '"two_words"' },
      },
    ],
  },
  { deletes: false },
);
