import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { TableFolder, type WriteTable } from '../../src/engine/store/table-folder.js';
import { TableWriter } from '../../src/formats/index.js';
import { silentLogger } from '../../src/index.js';
import { ManualClock } from '../../src/testing/index.js';

async function open(maxBytes = 1e9) {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-tables-'));
  onTestFinished(() => rm(path, { recursive: true }));
  const clock = new ManualClock();
  const start = () => new TableFolder(path, maxBytes, clock, silentLogger);
  return { path, clock, start, folder: start() };
}

/** Writes a table of about this size, and counts how often it did. */
function writing(kibibytes = 1): WriteTable & { times: number } {
  const write = async (path: string, name: string): Promise<void> => {
    write.times += 1;
    const writer = new TableWriter(path, name);
    writer.add('name', name);
    writer.add('value', 'x'.repeat(kibibytes * 1024));
    writer.finish();
  };
  write.times = 0;
  return write;
}

it('makes a table once for all who ask at the same time', async () => {
  const { folder } = await open();
  const write = writing();
  const tables = await Promise.all([folder.find('a', write), folder.find('a', write), folder.find('b', write)]);
  expect(tables.map((table) => table.get('name')?.toString())).toEqual(['a', 'a', 'b']);
  expect(await folder.find('a', write)).toBe(tables[0]);
  expect(write.times).toBe(2);
});

it('tries again with the bytes of the next one who asked', async () => {
  const { folder, path } = await open();
  const write = writing();
  let isFirst = true;
  const failing: WriteTable = async (file, name) => {
    await writeFile(file, 'begun');
    if (isFirst) {
      isFirst = false;
      throw new Error('the flight is over');
    }
    await rm(file);
    await write(file, name);
  };
  const answers = await Promise.allSettled([folder.find('a', failing), folder.find('a', failing)]);
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect(await readdir(path)).toHaveLength(1);
});

it('removes the tables that were opened longest ago, once there is no room', async () => {
  const { clock, path, start } = await open(40 * 1024);
  const write = writing(8);
  const find = async (name: string) => {
    clock.advance(1000);
    // As after a restart: none is open.
    const table = await start().find(name, write);
    table.close();
  };
  for (const name of ['a', 'b', 'a', 'c']) await find(name);
  expect(write.times).toBe(3);
  expect(await readdir(path)).toHaveLength(2);
  await find('a');
  expect(write.times).toBe(3);
  await find('b');
  expect(write.times).toBe(4);
});

it('leaves files of others alone, and removes what a crash left behind', async () => {
  const { path, folder } = await open(0);
  const [old, fresh] = [0, 1].map((digit) => `${String(digit).repeat(64)}.5a2ee8d4-0f3c-4b43-9c4e-0b8f2f2b0a11.new`);
  for (const file of ['notes.txt', old as string, fresh as string]) await writeFile(join(path, file), 'x');
  await utimes(join(path, old as string), 0, 0);
  const table = await folder.find('a', writing());
  // Its file had no room: it serves as long as it is open.
  expect(table.get('name')?.toString()).toBe('a');
  expect((await readdir(path)).sort()).toEqual([fresh, 'notes.txt']);
});
