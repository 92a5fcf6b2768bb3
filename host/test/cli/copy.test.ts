import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SqlMetaStore } from '../../src/drivers/sql/meta-store.js';
import { joinStores } from '../../src/space/belonging.js';
import { openSpace } from '../space/support.js';
import { TestProcess } from './test-context.js';

let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), 'entrepot-copy-'));
  for (const [name, folder] of [
    ['old.yaml', 'old'],
    ['new.yaml', 'new'],
  ] as const) {
    const stores = `storage: { path: ${cwd}/${folder}/blobs }\nmetadata: { path: ${cwd}/${folder}/entrepot.db }\n`;
    await writeFile(path.join(cwd, name), stores);
  }
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

/** A server's stores with two uploads. */
async function filled(): Promise<void> {
  const { database, blobs, put } = await openSpace({ root: path.join(cwd, 'old') });
  await joinStores(new SqlMetaStore(database), blobs);
  await put('hosted', 'a', 'one');
  await put('hosted', 'b', 'three');
}

async function run(...words: string[]): Promise<readonly [code: number, output: string]> {
  const terminal = new TestProcess(cwd);
  const code = await terminal.run(...words);
  return [code, [...terminal.output, ...terminal.errors].join('\n')];
}

it('moves blobs, then tables, then the keys of the server, and nothing starts where they were', async () => {
  await filled();
  await writeFile(path.join(cwd, 'old/token.key'), 'a key');
  const prepared = await run('copy-storage', 'old.yaml', 'new.yaml', '--prepare');
  expect(prepared).toEqual([
    0,
    `copied 2 blobs (8B) to ${cwd}/new/blobs\n` +
      'The target is not used yet: stop the servers, and run this again without --prepare',
  ]);
  const done = 'Start the servers with what is new; with what was before, none starts any more';
  expect(await run('copy-storage', 'old.yaml', 'new.yaml')).toEqual([
    0,
    `copied 0 blobs (0B) to ${cwd}/new/blobs\n${done}`,
  ]);
  const [code, output] = await run('copy-metadata', 'old.yaml', 'new.yaml');
  expect([code, output]).toEqual([0, expect.stringMatching(/^copied \d+ rows to .*\/new\/entrepot\.db\n/)]);
  expect(await readFile(path.join(cwd, 'new/token.key'), 'utf8')).toBe('a key');

  const moved = await openSpace({ root: path.join(cwd, 'new') });
  await joinStores(new SqlMetaStore(moved.database), moved.blobs);
  const entry = await moved.storage.entries.find('hosted', 'b');
  expect((await moved.storage.blobs.read(entry?.digest as never, 5))?.toString()).toBe('three');

  const left = await openSpace({ root: path.join(cwd, 'old') });
  await expect(joinStores(new SqlMetaStore(left.database), left.blobs)).rejects.toThrow(
    `the store of blobs was moved to ${cwd}/new/blobs; use that. To use this one again, run: entrepot adopt`,
  );
  expect(await run('copy-metadata', 'old.yaml', 'new.yaml')).toEqual([1, expect.stringContaining('was moved to')]);
  // Back again.
  expect((await run('adopt', '-c', 'old.yaml'))[0]).toBe(0);
  await joinStores(new SqlMetaStore(left.database), left.blobs);
});

it('says what is wrong with a source and a target', async () => {
  await filled();
  expect(await run('copy-storage', 'old.yaml', 'old.yaml')).toEqual([
    1,
    expect.stringContaining('is the source itself'),
  ]);
  expect(await run('copy-metadata', 'old.yaml', 'old.yaml')).toEqual([
    1,
    expect.stringContaining('is the source itself'),
  ]);
  expect(await run('copy-metadata', 'new.yaml', 'old.yaml')).toEqual([
    1,
    expect.stringContaining('no server has used'),
  ]);
  expect((await run('copy-storage', 'none.yaml', 'new.yaml'))[0]).toBe(78);
  expect((await run('copy-storage', 'old.yaml'))[0]).toBe(64);
});

it('shows how far it is, and goes on after a signal', async () => {
  await filled();
  const terminal = new TestProcess(cwd);
  terminal.isTerminal = true;
  // As soon as the command listens.
  terminal.signals.on('newListener', () => queueMicrotask(() => terminal.signals.emit('signal', 'SIGINT')));
  expect(await terminal.run('copy-metadata', 'old.yaml', 'new.yaml')).toBe(1);
  expect(terminal.errors).toEqual(['entrepot: stopped; the same command goes on where this one was']);
  const again = new TestProcess(cwd);
  again.isTerminal = true;
  expect(await again.run('copy-metadata', 'old.yaml', 'new.yaml')).toBe(0);
  expect(again.progress).toContainEqual(expect.stringMatching(/^\[#+\.*\] pass 1: \d+ of \d+ rows copied$/));
  expect(again.progress.at(-1)).toBe('');
});
