import { describe, it } from 'vitest';
import { protocolSuite } from '@entrepot/core/testing';
import { APK, PACMAN, RPM, type Archive } from './archives.js';

type Cases = Parameters<typeof protocolSuite>[1]['cases'];

/** Cases of each format, besides those of all of them. */
const CASES: readonly (readonly [Archive, (paths: readonly string[]) => Cases])[] = [
  [
    RPM,
    (paths) => [
      {
        request: '/9/os/repodata/repomd.xml',
        resource: { class: 'suite', attributes: { root: '9/os', name: 'repodata/repomd.xml' } },
        status: 200,
      },
      { request: '/9/os/repodata/repomd.xml.asc', resource: { class: 'suite' }, status: 404 },
      { request: '/9/os/repodata/repomd.xml.key', resource: { class: 'suite' }, status: 404 },
      {
        request: `/${paths.find((path) => path.includes('-primary'))}`,
        resource: { class: 'named' },
        status: 200,
      },
      { request: `/9/os/repodata/${'0'.repeat(64)}-primary.xml.gz`, resource: { class: 'named' }, status: 404 },
      { request: '/9/os/media.1/media', resource: { class: 'file', key: '9/os/media.1/media' }, status: 404 },
      { request: '/9/os/repodata/', resource: undefined, status: 404 },
    ],
  ],
  [
    PACMAN,
    () => [
      {
        request: '/core/os/x86_64/core.db',
        resource: { class: 'suite', attributes: { root: 'core/os/x86_64/core.db', name: 'core.db' } },
        status: 200,
      },
      {
        request: '/core/os/x86_64/core.db.tar.gz',
        resource: { class: 'suite', attributes: { root: 'core/os/x86_64/core.db', name: 'core.db' } },
        status: 200,
      },
      { request: '/core/os/x86_64/core.db.sig', resource: { class: 'suite' }, status: 404 },
      { request: '/core/os/x86_64/core.files', resource: { class: 'suite' }, status: 404 },
    ],
  ],
  [
    APK,
    () => [
      {
        request: '/alpine/v3.20/main/x86_64/APKINDEX.tar.gz',
        resource: {
          class: 'suite',
          attributes: { root: 'alpine/v3.20/main/x86_64', name: 'APKINDEX.tar.gz' },
        },
        status: 200,
      },
      { request: '/alpine/v3.20/main/armv7/APKINDEX.tar.gz', resource: { class: 'suite' }, status: 404 },
    ],
  ],
];

for (const [archive, casesOf] of CASES) {
  const files = archive.files('1.0');
  protocolSuite(
    { describe, it },
    {
      plugin: archive.plugin,
      options: { unindexed: 'revalidate' },
      fixtures: {
        ...Object.fromEntries(Object.entries(files).map(([path, body]) => [path, { body }])),
        README: { body: 'read me', mediaType: 'text/plain' },
      },
      links: 'none',
      cases: [
        ...casesOf(Object.keys(files)),
        { request: `/${archive.packagePath('1.0')}`, resource: { class: 'file' }, status: 200 },
        { request: `/${archive.packagePath('2.0')}`, resource: { class: 'file' }, status: 404 },
        { request: '/README', resource: { class: 'file', key: 'README' }, status: 200 },
        { request: { method: 'PUT', path: '/README' }, resource: 'method-not-allowed', status: 405 },
      ],
    },
    // What clients read commits to sums: no version can be left out of it, and none has a date.
    { rewriting: false, policy: false },
  );
}
