import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSpace } from '../space/support.js';
import { TestProcess } from './test-context.js';

let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), 'entrepot-gc-'));
  const stores = `storage: { path: ${cwd}/blobs, gc: { grace: 0s } }\nmetadata: { path: ${cwd}/entrepot.db }\n`;
  await writeFile(path.join(cwd, 'entrepot.yaml'), stores);
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

it('deletes what nothing points at, beside a server, and says how much', async () => {
  const { put, files } = await openSpace({ root: cwd });
  await put('proxy', 'a', 'one');
  const kept = await put('proxy', 'a', 'two');
  const dry = new TestProcess(cwd);
  expect(await dry.run('gc', '--dry-run')).toBe(0);
  expect(dry.output).toEqual(['looked at 2 blobs', 'would condemn 1 (3B) that nothing points at']);
  const deleting = new TestProcess(cwd);
  deleting.isTerminal = true;
  expect(await deleting.run('gc', '--batch-size', '10')).toBe(0);
  expect(deleting.output[2]).toBe('deleted 1 (3B) that were condemned before');
  expect(deleting.progress.join('\n')).toContain('2 of 2 blobs');
  expect(deleting.progress.at(-1)).toBe('');
  const again = new TestProcess(cwd);
  await again.run('gc', '--json');
  expect(JSON.parse(again.output.join(''))).toMatchObject({ looked: 1, deleted: { blobs: 0, bytes: 0 } });
  expect(await files()).toEqual([kept.digest]);
});

it('refuses a batch that is none', async () => {
  const process = new TestProcess(cwd);
  expect(await process.run('gc', '--batch-size', 'many')).toBe(1);
  expect(process.errors).toEqual(['entrepot: --batch-size: expected a whole number above 0, found "many"']);
});
