import { protocolSuite, type ProtocolCase } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/index.js';
import { describeBytes, digestOf, indexOf, INDEX, MANIFEST, manifestOf } from './images.js';

const config = '{"architecture":"amd64","os":"linux"}';
const layer = 'a layer';
const manifest = manifestOf(config, layer);
const index = indexOf(describeBytes(MANIFEST, manifest));
const none = digestOf('nothing');

const cases: readonly ProtocolCase[] = [
  {
    request: '/library/app/manifests/1.0',
    resource: { class: 'tag', key: 'tag/library/app:/1.0' },
    status: 200,
  },
  {
    request: `/library/app/manifests/${digestOf(manifest)}`,
    resource: { class: 'manifest' },
    status: 200,
  },
  {
    request: `/library/app/blobs/${digestOf(layer)}`,
    resource: { class: 'blob' },
    status: 200,
  },
  { request: `/library/app/blobs/${digestOf(config)}`, resource: { class: 'blob' }, status: 200 },
  { request: '/library/app/manifests/2.0', resource: { class: 'tag' }, status: 200 },
  { request: '/library/app/tags/list', resource: { class: 'tags' }, status: 200 },
  {
    request: `/library/app/referrers/${digestOf(manifest)}`,
    resource: { class: 'referrers' },
    status: 200,
  },
  { request: '/_catalog?n=5', resource: { class: 'catalog' }, status: 200 },
  { request: '/library/app/manifests/absent', resource: { class: 'tag' }, status: 404 },
  { request: `/library/app/blobs/${none}`, resource: { class: 'blob' }, status: 404 },
  { request: '/', resource: { status: 200 }, status: 200 },
  { request: '/Library/app/manifests/1.0', resource: 'bad-request', status: 400 },
  { request: '/library/app/blobs/sha256:ab', resource: 'bad-request', status: 400 },
  { request: '/secret/app/manifests/1.0', resource: 'forbidden', status: 403 },
  { request: { method: 'PUT', path: '/library/app/manifests/1.0' }, resource: 'method-not-allowed', status: 405 },
  { request: { method: 'POST', path: '/library/app/blobs/uploads/' }, resource: 'method-not-allowed', status: 405 },
  { request: '/nothing/of/ours', resource: undefined, status: 404 },
];

protocolSuite(
  { describe, it },
  {
    plugin,
    options: { deny: ['secret/**'] },
    fixtures: {
      'v2/library/app/manifests/1.0': {
        body: index,
        mediaType: INDEX,
      },
      'v2/library/app/manifests/2.0': { body: manifest, mediaType: MANIFEST },
      [`v2/library/app/manifests/${digestOf(index)}`]: { body: index, mediaType: INDEX },
      [`v2/library/app/manifests/${digestOf(manifest)}`]: { body: manifest, mediaType: MANIFEST },
      [`v2/library/app/blobs/${digestOf(layer)}`]: { body: layer, mediaType: 'application/octet-stream' },
      [`v2/library/app/blobs/${digestOf(config)}`]: { body: config, mediaType: 'application/octet-stream' },
      'v2/library/app/tags/list': {
        body: '{"name":"library/app","tags":["1.0","2.0"]}',
        mediaType: 'application/json',
      },
      [`v2/library/app/referrers/${digestOf(manifest)}`]: { body: indexOf(), mediaType: INDEX },
      'v2/_catalog?n=5': { body: '{"repositories":["library/app"]}', mediaType: 'application/json' },
    },
    cases,
    // Manifests name digests; nothing of a registry holds a URL.
    links: 'none',
    mentions: (body) => (JSON.parse(body) as { tags?: string[] }).tags ?? [],
  },
  // A list of tags has no dates.
  { dates: false },
);
