import { describe, it } from 'vitest';
import { DebArchive, sha256 } from '@entrepot/fixtures/deb-archive';
import { protocolSuite } from '@entrepot/core/testing';
import plugin from '../src/deb/index.js';

const archive = await DebArchive.create();
// The clock of the kit stands there.
archive.age = Date.UTC(2026, 0, 1) - Date.now();
archive.add('hello', '1.0');
archive.add('world', '2.0', { size: 200_000 });
await archive.publish();
const folder = 'dists/stable/main/binary-amd64';
const packages = sha256(archive.files.get(`${folder}/Packages`)!);
const byHash = `${folder}/by-hash/SHA256/${packages}`;

protocolSuite(
  { describe, it },
  {
    plugin,
    options: { unindexed: 'revalidate' },
    fixtures: {
      ...Object.fromEntries([...archive.files].map(([path, body]) => [path, { body }])),
      README: { body: 'read me', mediaType: 'text/plain' },
    },
    links: 'none',
    cases: [
      {
        request: '/dists/stable/InRelease',
        resource: { class: 'suite', attributes: { root: 'dists/stable', name: 'InRelease' } },
        status: 200,
      },
      { request: '/./dists/stable/Release.gpg', resource: { class: 'suite' }, status: 200 },
      { request: '/InRelease', resource: { class: 'suite', attributes: { root: '', name: 'InRelease' } }, status: 404 },
      { request: `/${byHash}`, resource: { class: 'named', key: byHash }, status: 200 },
      { request: `/${folder}/Packages.gz`, resource: { class: 'named', key: `${folder}/Packages.gz` }, status: 200 },
      { request: `/${folder}/Release`, resource: { class: 'named' }, status: 404 },
      { request: '/pool/main/h/hello/hello_1.0_all.deb', resource: { class: 'file' }, status: 200 },
      { request: '/pool/main/h/hello/hello_2.0_all.deb', resource: { class: 'file' }, status: 404 },
      { request: '/README', resource: { class: 'file', key: 'README' }, status: 200 },
      { request: '/dists/', resource: undefined, status: 404 },
      { request: { method: 'PUT', path: '/README' }, resource: 'method-not-allowed', status: 405 },
    ],
  },
  // What clients read is signed: no version can be left out of it, and none has a date.
  { rewriting: false, policy: false },
);
