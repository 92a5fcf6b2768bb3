import { gunzipSync } from 'node:zlib';
import { hostedProtocolSuite, type HostedUpload } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import plugin from '../src/rpm/index.js';
import { archiveKey, sha256 } from './hosted-fixtures.js';
import { rpm, type RpmParts } from './rpm-file-fixtures.js';

const { privateKey } = await archiveKey();

function upload(tree: string, parts: RpmParts): HostedUpload {
  const { name, version = '1.0', release = '1', architecture = 'x86_64' } = parts;
  const path = `${tree}/Packages/${name}-${version}-${release}.${architecture}.rpm`;
  const [bytes, againBytes] = [rpm(parts), rpm({ ...parts, data: 'other' })];
  return {
    put: { method: 'PUT', path, body: bytes },
    get: path,
    bytes,
    again: { method: 'PUT', path, body: againBytes },
    againBytes,
    remove: { method: 'DELETE', path },
    listed: {
      in: `${tree}/repodata/repomd.xml`,
      as: `<checksum type="sha256" pkgid="YES">${sha256(bytes)}<`,
      async text(repomd, ask) {
        const [, list = ''] = /href="(.*-primary\.xml\.gz)"/.exec(repomd.toString()) ?? [];
        return gunzipSync((await ask(`${tree}/${list}`)).body).toString();
      },
    },
  };
}

for (const options of [{}, { signing: { key: privateKey } }]) {
  hostedProtocolSuite(
    { describe, it },
    {
      plugin,
      options,
      uploads: [
        upload('/el9/x86_64', { name: 'hello' }),
        upload('/el9/x86_64', { name: 'hello', version: '1.1~rc1^git', epoch: 2 }),
        upload('/el9/x86_64', { name: 'hello-1.0', architecture: 'noarch' }),
        upload('/el9', { name: 'libstdc++', architecture: 'i686' }),
        upload('', { name: 'hello', source: '' }),
      ],
    },
    // Lists are signed when they are published: no version can be left out of them.
    { policy: false },
  );
}
