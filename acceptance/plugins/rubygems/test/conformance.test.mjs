import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { hostedProtocolSuite, packTar, protocolSuite } from '@entrepot/core/testing';
import plugin from '../src/index.ts';

const VERSIONS = ['1.0.0', '1.1.0', '1.2.0-java'];
const TEXT = 'text/plain; charset=utf-8';

/** @param {string} number */
const bytesOf = (number) => `the files of demo ${number}`;
const info = VERSIONS.map((number) => {
  const sum = createHash('sha256').update(bytesOf(number)).digest('hex');
  return `${number} helper:>= 1.0&< 2|checksum:${sum},ruby:>= 2.5,created_at:2026-01-01T00:00:00Z\n`;
});
const versions = `created_at: 2026-01-01T00:00:00Z\n---\ndemo ${VERSIONS.join(',')} ${'1'.repeat(32)}\n`;

/** The numbers that a document of the index lists. @param {string} body */
function mentions(body) {
  return body.match(/\b\d+\.\d+\.\d+(?=[-, |])/g) ?? [];
}

protocolSuite(
  { describe, it },
  {
    plugin,
    links: 'none',
    mentions,
    fixtures: {
      versions: { mediaType: TEXT, body: versions },
      names: { mediaType: TEXT, body: '---\ndemo\n' },
      'info/demo': { mediaType: TEXT, body: `---\n${info.join('')}` },
      'specs.4.8.gz': { mediaType: 'application/octet-stream', body: 'specs' },
      ...Object.fromEntries(
        VERSIONS.flatMap((number) => [
          [`gems/demo-${number}.gem`, { mediaType: 'application/octet-stream', body: bytesOf(number) }],
          [`quick/Marshal.4.8/demo-${number}.gemspec.rz`, { mediaType: 'application/octet-stream', body: number }],
        ]),
      ),
    },
    cases: [
      { request: '/', resource: { status: 200 }, status: 200 },
      { request: '/info/demo', resource: { class: 'info', key: 'info/demo' }, status: 200 },
      { request: '/versions', resource: { class: 'versions' }, status: 200 },
      { request: '/names', resource: { class: 'names' }, status: 200 },
      { request: '/specs.4.8.gz', resource: { class: 'specs' }, status: 200 },
      ...VERSIONS.map((number) => ({
        request: `/gems/demo-${number}.gem`,
        resource: { class: 'gem', coordinates: { ecosystem: 'gem', name: 'demo', version: number.split('-')[0] } },
        status: 200,
      })),
      // One that is there would be held to the sums that specifications do not have.
      { request: '/quick/Marshal.4.8/demo-9.9.9.gemspec.rz', resource: { class: 'spec' }, status: 404 },
      { request: '/gems/demo-9.9.9.gem', resource: { class: 'gem' }, status: 404 },
      { request: '/info/other', resource: { class: 'info' }, status: 404 },
      { request: '/info/demo/', resource: undefined, status: 404 },
      { request: '/gems/demo.gem', resource: undefined, status: 404 },
      { request: '/api/v1/dependencies', resource: undefined, status: 404 },
    ],
  },
  // The list of all versions has no dates: what is too young is left out of the lists of the gems alone.
  { dates: false },
);

/** A gem, as `gem build` packs it. @param {string} number @param {string} summary */
function gem(number, summary) {
  const rule = "requirements:\n  - - '>='\n    - !ruby/object:Gem::Version\n      version: '0'\n";
  const metadata = `--- !ruby/object:Gem::Specification
name: tool
version: !ruby/object:Gem::Version
  version: ${number}
platform: ruby
summary: ${summary}
required_ruby_version: !ruby/object:Gem::Requirement
  ${rule}required_rubygems_version: !ruby/object:Gem::Requirement
  ${rule}dependencies: []
`;
  return packTar([{ name: 'metadata.gz', content: gzipSync(metadata) }]);
}

/** @param {string} number */
function push(number) {
  const [bytes, againBytes] = [gem(number, 'one'), gem(number, 'two')];
  const request = { method: 'POST', path: '/api/v1/gems' };
  return {
    put: { ...request, body: bytes },
    get: `/gems/tool-${number}.gem`,
    bytes,
    again: { ...request, body: againBytes },
    againBytes,
    remove: { method: 'DELETE', path: '/api/v1/gems/yank', body: `gem_name=tool&version=${number}` },
    listed: { in: '/versions', as: ` ${number} ` },
  };
}

hostedProtocolSuite(
  { describe, it },
  { plugin, uploads: [push('1.0.0'), push('1.1.0')] },
  { conflicts: true, deletes: true, lists: true },
);
