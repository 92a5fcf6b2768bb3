import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { digestOf, readStream } from '@entrepot/core/testing';
import { expect, it } from 'vitest';
import { FilesystemBlobStore } from '../../../src/drivers/blob/filesystem.js';
import { bundleProgram } from '../bundle.js';

const KILLS = 30;

it(`keeps only whole blobs through ${KILLS} kills`, async () => {
  const program = await bundleProgram(new URL('putting-program.ts', import.meta.url));
  const root = await mkdtemp(join(tmpdir(), 'entrepot-crash-'));
  const path = join(root, 'blobs');
  let leftovers = 0;
  let blobs = 0;
  try {
    for (let round = 0; round < KILLS; round += 1) {
      await putUntilKilled(program.path, path, round);
      leftovers += (await readdir(join(path, 'tmp'))).length;
      const store = await FilesystemBlobStore.open({ path, durability: 'relaxed' });
      expect(await readdir(join(path, 'tmp'))).toEqual([]);
      blobs = 0;
      for await (const { digest, size } of store.list()) {
        blobs += 1;
        const stream = await store.open(digest);
        assert.ok(stream !== undefined);
        const bytes = await readStream(stream);
        expect([digestOf(bytes), bytes.length]).toEqual([digest, size]);
        // What was verified need not be read again in the next round.
        if (blobs > 20) await store.delete(digest);
      }
    }
    expect(blobs).toBeGreaterThan(0);
    expect(leftovers, 'a test that never kills in the middle of a put proves nothing').toBeGreaterThan(0);
  } finally {
    await rm(root, { recursive: true, force: true });
    await program.remove();
  }
});

async function putUntilKilled(program: string, path: string, round: number): Promise<void> {
  const child = spawn(process.execPath, [program, path, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), exited]);
  expect(child.exitCode, 'the program must run until it is killed').toBeNull();
  // A random moment is the point of this test, and nothing is expected of its length.
  await wait(Math.random() * 60);
  child.kill('SIGKILL');
  await exited;
}
