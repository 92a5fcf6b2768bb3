import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createLogger } from '../../src/log/logger.js';
import { openLogFile } from '../../src/log/log-file.js';

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'below', 'entrepot.log');
}

/** A file, and the time as it sees it. */
function opened(file: string) {
  let now = 0;
  const write = openLogFile(file, () => now);
  return { write, pass: (milliseconds: number) => (now += milliseconds) };
}

it('appends to the file, which it makes with its folder, and not for everybody to read', () => {
  const file = place();
  const { write } = opened(file);
  write('one\n');
  opened(file).write('of another process\n');
  write('two\n');
  expect(readFileSync(file, 'utf8')).toBe('one\nof another process\ntwo\n');
  expect(statSync(file).mode & 0o007).toBe(0);
});

it('begins anew within a second where the file was moved away', () => {
  const file = place();
  const { write, pass } = opened(file);
  write('one\n');
  renameSync(file, `${file}.1`);
  pass(999);
  write('two\n');
  pass(1);
  write('three\n');
  expect([readFileSync(`${file}.1`, 'utf8'), readFileSync(file, 'utf8')]).toEqual(['one\ntwo\n', 'three\n']);
});

it('goes on at the beginning of a file that was emptied', () => {
  const file = place();
  const { write } = opened(file);
  write('one\n');
  truncateSync(file);
  write('two\n');
  expect(readFileSync(file, 'utf8')).toBe('two\n');
});

it('says once that it cannot write, goes on with the file that it has, and takes the new one when that is there', () => {
  const file = place();
  const { write, pass } = opened(file);
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  onTestFinished(() => told.mockRestore());
  write('one\n');
  renameSync(file, `${file}.1`);
  mkdirSync(file);
  for (const line of ['two\n', 'three\n']) {
    pass(1000);
    write(line);
  }
  rmSync(file, { recursive: true });
  pass(1000);
  write('four\n');
  expect([readFileSync(`${file}.1`, 'utf8'), readFileSync(file, 'utf8')]).toEqual(['one\ntwo\nthree\n', 'four\n']);
  expect(told.mock.calls.map(([text]) => String(text))).toEqual([
    expect.stringMatching(/^the log cannot be written to .*: EISDIR/),
  ]);
});

it('refuses a file that cannot be one, at the start', () => {
  const file = place();
  mkdirSync(file, { recursive: true });
  expect(() => openLogFile(file)).toThrow(/^log\.file: expected a file that can be written to; .*EISDIR/);
});

it('has lines for programs unless the configuration says otherwise', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const file = place();
  createLogger({ level: 'info', format: 'auto', file }).info({ a: 1 }, 'for programs');
  createLogger({ level: 'info', format: 'text', file }).info({ a: 1 }, 'for people');
  vi.advanceTimersByTime(100);
  const [json = '', text] = readFileSync(file, 'utf8').split('\n');
  expect(JSON.parse(json)).toMatchObject({ level: 'info', a: 1, msg: 'for programs' });
  expect(text).toMatch(/^\d\d:\d\d:\d\d info {2}for people {2}a=1$/);
});
