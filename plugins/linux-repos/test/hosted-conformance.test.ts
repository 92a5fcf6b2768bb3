import { hostedProtocolSuite, type HostedUpload } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/deb/index.js';
import { archiveKey, deb } from './hosted-fixtures.js';

const { privateKey } = await archiveKey();

function upload(suite: string, name: string, version: string, architecture: string): HostedUpload {
  const file = `${name}_${version.replace(/^\d+:/, '')}_${architecture}.deb`;
  const path = `/pool/${suite}/main/${file}`;
  const [bytes, againBytes] = [deb(name, version, architecture), deb(name, version, architecture, 'other')];
  return {
    put: { method: 'PUT', path, body: bytes },
    get: path,
    bytes,
    again: { method: 'PUT', path, body: againBytes },
    againBytes,
    remove: { method: 'DELETE', path },
    listed: { in: `/dists/${suite}/main/binary-amd64/Packages`, as: `Filename: ${path.slice(1)}\n` },
  };
}

for (const options of [{}, { signing: { key: privateKey } }]) {
  hostedProtocolSuite(
    { describe, it },
    {
      plugin,
      options: { ...options, architectures: ['amd64'] },
      uploads: [
        upload('stable', 'hello', '1.0', 'amd64'),
        upload('stable', 'hello', '1:1.1-2', 'amd64'),
        upload('stable', 'hello-doc', '1.0', 'all'),
        upload('bookworm/updates', 'libc++1', '1.0~rc1+b2', 'amd64'),
      ],
    },
    // Lists are signed when they are published: no version can be left out of them.
    { policy: false },
  );
}
