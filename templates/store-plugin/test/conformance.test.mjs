import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { blobStoreSuite } from '@entrepot/core/testing';
import plugin from '../dist/index.js';

const open = (folder) => plugin.create({ options: { folder }, services: {} });

blobStoreSuite(
  { describe, it },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'acme-'));
    return {
      store: await open(folder),
      reopen: () => open(folder),
      close: () => rm(folder, { recursive: true, force: true }),
    };
  },
  { replicas: true },
);

describe('the options', () => {
  it('refuse unknown keys', async () => {
    const { issues } = await plugin.options['~standard'].validate({ folder: 'objects', foldr: 'objects' });
    assert.equal(issues?.length, 1);
  });
});
