import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { hostedProtocolSuite, openTestRepository } from '@entrepot/core/testing';
import plugin from '../dist/index.js';

const release = (version) => {
  const path = `/hammer/hammer-${version}.tar.gz`;
  const [bytes, againBytes] = [gzipSync(`the files of hammer ${version}`), gzipSync(`others of hammer ${version}`)];
  return {
    put: { method: 'PUT', path, body: bytes },
    get: path,
    bytes,
    again: { method: 'PUT', path, body: againBytes },
    againBytes,
    remove: { method: 'DELETE', path },
    // A text that stands in the index while the release is there.
    listed: { in: '/hammer/index.json', as: path },
  };
};

hostedProtocolSuite({ describe, it }, { plugin, uploads: ['1.0.0', '1.1.0', '1.1.0-rc.1'].map(release) });

describe('the index', () => {
  it('has the newest version as its latest', async () => {
    const repository = await openTestRepository({ plugin, definition: { kind: 'hosted' } });
    try {
      for (const version of ['1.10.0', '1.9.0', '1.10.0-rc.1']) await repository.ask(release(version).put);
      const { latest } = JSON.parse((await repository.ask('/hammer/index.json')).body.toString());
      assert.equal(latest, '1.10.0');
    } finally {
      await repository.close();
    }
  });
});

describe('a release', () => {
  it('must be gzipped', async () => {
    const repository = await openTestRepository({ plugin, definition: { kind: 'hosted' } });
    try {
      const { put } = release('1.0.0');
      const { status, body } = await repository.ask({ ...put, body: 'plain text' });
      assert.equal(status, 400);
      assert.match(body.toString(), /gzipped/);
    } finally {
      await repository.close();
    }
  });
});
