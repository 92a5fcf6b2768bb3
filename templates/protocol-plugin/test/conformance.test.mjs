import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { protocolSuite } from '@entrepot/core/testing';
import plugin from '../dist/index.js';

const RELEASES = ['1.0.0', '1.1.0'].map((version) => {
  const file = `hammer-${version}.tar.gz`;
  const body = `the files of hammer ${version}`;
  return { version, file, body, sha256: createHash('sha256').update(body).digest('hex') };
});

// What the upstream has; {{upstream}} stands for its URL.
const index = {
  name: 'hammer',
  latest: '1.1.0',
  releases: RELEASES.map(({ version, file, sha256 }) => ({
    version,
    file,
    url: `{{upstream}}/hammer/${file}`,
    sha256,
    published: '2026-01-01T00:00:00Z',
  })),
};

protocolSuite(
  { describe, it },
  {
    plugin,
    fixtures: {
      'hammer/index.json': { mediaType: 'application/json', body: JSON.stringify(index) },
      ...Object.fromEntries(
        RELEASES.map(({ file, body }) => [`hammer/${file}`, { mediaType: 'application/gzip', body }]),
      ),
    },
    cases: [
      { request: '/hammer/index.json', resource: { class: 'index', key: 'hammer/index.json' }, status: 200 },
      { request: '/hammer/hammer-1.0.0.tar.gz', resource: { class: 'release' }, status: 200 },
      { request: '/hammer/hammer-1.1.0.tar.gz', resource: { class: 'release' }, status: 200 },
      { request: '/hammer/hammer-9.9.9.tar.gz', resource: { class: 'release' }, status: 404 },
      { request: '/nail/index.json', resource: { class: 'index' }, status: 404 },
      { request: '/hammer/index.json/', resource: undefined, status: 404 },
      { request: '/hammer/nail-1.0.0.tar.gz', resource: undefined, status: 404 },
      { request: '/hammer', resource: undefined, status: 404 },
      { request: { method: 'PUT', path: '/hammer/index.json' }, resource: 'method-not-allowed', status: 405 },
    ],
  },
);
