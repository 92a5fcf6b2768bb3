import { protocolSuite, type Fixture, type ProtocolCase } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/index.js';
import { jar, metadata, pom, sum } from './fixtures.js';

const TOOL = 'org/example/tool';
const BUILD = `${TOOL}/2.0-SNAPSHOT/tool-2.0-20260102.030405-1`;

const cases: readonly ProtocolCase[] = [
  {
    request: `/${TOOL}/1.0/tool-1.0.jar`,
    resource: {
      kind: 'artifact',
      class: 'release',
      key: `${TOOL}/1.0/tool-1.0.jar`,
      mediaType: 'application/java-archive',
    },
    status: 200,
  },
  { request: `/${TOOL}/1.1/tool-1.1.jar`, resource: { kind: 'artifact', class: 'release' }, status: 200 },
  { request: `/${TOOL}/1.0/tool-1.0.pom`, resource: { kind: 'artifact', class: 'release' }, status: 200 },
  { request: `/${TOOL}/1.0/tool-1.0.jar.asc`, resource: { kind: 'artifact', class: 'signature' }, status: 200 },
  { request: `/${TOOL}/1.0/tool-1.0-sources.jar`, resource: { kind: 'artifact', class: 'release' }, status: 404 },
  { request: `/${TOOL}/1.0/tool-1.0.jar.sha1`, resource: { kind: 'document', class: 'sidecar' }, status: 200 },
  { request: `/${TOOL}/1.0/tool-1.0.jar.sha512`, resource: { kind: 'document', class: 'sidecar' }, status: 200 },
  { request: `/${TOOL}/maven-metadata.xml`, resource: { kind: 'document', class: 'metadata' }, status: 200 },
  { request: `/${TOOL}/maven-metadata.xml.sha1`, resource: { kind: 'document', class: 'metadata' }, status: 200 },
  {
    request: `/${TOOL}/2.0-SNAPSHOT/maven-metadata.xml`,
    resource: { kind: 'document', class: 'snapshot-metadata' },
    status: 404,
  },
  { request: `/${BUILD}.jar`, resource: { kind: 'artifact', class: 'timestamped' }, status: 200 },
  {
    request: `/${TOOL}/2.0-SNAPSHOT/tool-2.0-SNAPSHOT.jar`,
    resource: { kind: 'document', class: 'snapshot' },
    status: 200,
  },
  { request: `/${TOOL}/1.0/foo-maven-metadata.xml`, resource: { kind: 'document', class: 'file' }, status: 404 },
  { request: '/archetype-catalog.xml', resource: { kind: 'document', class: 'file' }, status: 404 },
  { request: '/.meta/prefixes.txt', resource: { kind: 'document', class: 'file' }, status: 404 },
  { request: '/.hidden/file', resource: undefined, status: 404 },
  { request: '/', resource: undefined, status: 404 },
  { request: `/${TOOL}/`, resource: undefined, status: 404 },
  { request: `/${TOOL}/1.0/tool-1.0.jar.sha1.md5`, resource: undefined, status: 404 },
  { request: { method: 'PUT', path: `/${TOOL}/1.0/tool-1.0.jar` }, resource: 'method-not-allowed', status: 405 },
];

const FILES: Readonly<Record<string, Fixture>> = {
  [`${TOOL}/1.0/tool-1.0.jar`]: { body: jar('one'), mediaType: 'application/java-archive' },
  [`${TOOL}/1.1/tool-1.1.jar`]: { body: jar('one and more'), mediaType: 'application/java-archive' },
  [`${TOOL}/1.0/tool-1.0.pom`]: { body: pom('org.example:tool:1.0'), mediaType: 'text/xml' },
  [`${TOOL}/1.0/tool-1.0.jar.asc`]: { body: '-----BEGIN PGP SIGNATURE-----\n', mediaType: 'text/plain' },
  [`${BUILD}.jar`]: { body: jar('built'), mediaType: 'application/java-archive' },
  [`${TOOL}/2.0-SNAPSHOT/tool-2.0-SNAPSHOT.jar`]: { body: jar('newest'), mediaType: 'application/java-archive' },
  [`${TOOL}/maven-metadata.xml`]: { body: metadata('org.example:tool', ['1.0', '1.1']), mediaType: 'text/xml' },
};
const SUMS = Object.fromEntries(
  Object.entries(FILES).map(([path, { body = '' }]) => [
    `${path}.sha1`,
    { body: sum('sha1', body), mediaType: 'text/plain' },
  ]),
);

protocolSuite(
  { describe, it },
  {
    plugin,
    fixtures: { ...FILES, ...SUMS },
    cases,
    links: 'none',
    mentions: (body) => [...body.matchAll(/<version>([^<]+)<\/version>/g)].map(([, version]) => version as string),
  },
  // Metadata has no dates.
  { dates: false },
);
