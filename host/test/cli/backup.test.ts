import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSpace } from '../space/support.js';
import { TestProcess } from './test-context.js';

let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), 'entrepot-backup-'));
  for (const [name, folder] of [
    ['entrepot.yaml', '.'],
    ['new.yaml', 'new'],
  ] as const) {
    const stores = `storage: { path: ${cwd}/${folder}/blobs }\nmetadata: { path: ${cwd}/${folder}/entrepot.db }\n`;
    await writeFile(path.join(cwd, name), stores);
  }
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

it('copies what is kept with the keys of the server, and brings it back elsewhere', async () => {
  const { put } = await openSpace({ root: cwd });
  await put('hosted', 'a', 'one');
  await writeFile(path.join(cwd, 'token.key'), 'a key');
  const process = new TestProcess(cwd);
  expect(await process.run('backup', 'copy')).toBe(0);
  expect(process.output).toEqual([`backed up 1 entries and 1 blobs (3B) to ${cwd}/copy`]);
  const other = new TestProcess(cwd);
  expect(await other.run('restore', 'copy', '-c', 'new.yaml')).toBe(0);
  expect(other.output[0]).toMatch(/^restored 1 entries and 1 blobs \(3B\), as they were at 20/);
  expect(await readFile(path.join(cwd, 'new/token.key'), 'utf8')).toBe('a key');
  const restored = await openSpace({ root: path.join(cwd, 'new') });
  const entry = await restored.storage.entries.find('hosted', 'a');
  expect((await restored.storage.blobs.read(entry?.digest as never, 3))?.toString()).toBe('one');
  expect(await new TestProcess(cwd).run('restore', 'copy', '-c', 'new.yaml')).toBe(1);
});

it('runs a command while nothing is deleted, and ends as it does', async () => {
  const { put, storage, clock } = await openSpace({ root: cwd });
  await put('hosted', 'a', 'one');
  await storage.entries.remove('hosted', 'a');
  clock.advance(1);
  const holding = new TestProcess(cwd);
  const script = `node -e "process.exit(require('fs').existsSync('entrepot.yaml') ? 7 : 1)"`;
  expect(await holding.run('hold', 'sh', '-c', script)).toBe(7);
  const failing = new TestProcess(cwd);
  expect(await failing.run('hold', 'no-such-program')).toBe(1);
  expect(failing.errors[0]).toContain('no-such-program');
});

it('lets a database take over a store', async () => {
  const process = new TestProcess(cwd);
  expect(await process.run('adopt')).toBe(0);
  expect(process.output[0]).toMatch(/^the database belongs to the store [0-9a-f-]{36} from now on$/);
});
