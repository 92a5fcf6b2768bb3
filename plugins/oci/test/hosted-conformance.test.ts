import { hostedProtocolSuite, type HostedUpload, type TestRequest } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/index.js';
import { describeBytes, digestOf, INDEX, indexOf, MANIFEST, manifestOf } from './images.js';

const CONFIG = '{"architecture":"amd64","os":"linux"}';
const LAYER = 'a layer';
const IMAGE = manifestOf(CONFIG, LAYER);
const SIGNATURE = manifestOf(CONFIG, LAYER, {
  artifactType: 'application/x.signature',
  subject: describeBytes(MANIFEST, IMAGE),
});

function blob(name: string, bytes: string): TestRequest {
  return { method: 'POST', path: `/${name}/blobs/uploads/?digest=${digestOf(bytes)}`, body: bytes };
}

function put(name: string, reference: string, body: string, mediaType = MANIFEST): TestRequest {
  return { method: 'PUT', path: `/${name}/manifests/${reference}`, headers: { 'content-type': mediaType }, body };
}

/** An image under a tag that is never moved. */
function tagged(name: string, tag: string): HostedUpload {
  const path = `/${name}/manifests/${tag}`;
  return {
    before: [blob(name, CONFIG), blob(name, LAYER)],
    put: put(name, tag, IMAGE),
    get: path,
    bytes: IMAGE,
    again: put(name, tag, indexOf(), INDEX),
    againBytes: indexOf(),
    remove: { method: 'DELETE', path },
    listed: { in: `/${name}/tags/list`, as: `"${tag}"` },
  };
}

const uploads: readonly HostedUpload[] = [
  tagged('team/app', '1.0'),
  tagged('tags/list', 'manifests'),
  {
    before: [blob('signed', CONFIG), blob('signed', LAYER)],
    put: put('signed', digestOf(SIGNATURE), SIGNATURE),
    get: `/signed/manifests/${digestOf(SIGNATURE)}`,
    bytes: SIGNATURE,
    remove: { method: 'DELETE', path: `/signed/manifests/${digestOf(SIGNATURE)}` },
    listed: { in: `/signed/referrers/${digestOf(IMAGE)}`, as: digestOf(SIGNATURE) },
  },
  {
    put: blob('blobs', 'bytes of any kind'),
    get: `/blobs/blobs/${digestOf('bytes of any kind')}`,
    bytes: 'bytes of any kind',
    remove: { method: 'DELETE', path: `/blobs/blobs/${digestOf('bytes of any kind')}` },
  },
];

hostedProtocolSuite({ describe, it }, { plugin, options: { immutableTags: true }, uploads });
