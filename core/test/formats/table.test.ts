import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DamagedTableError, FileTable, MemoryTable, type Table, TableWriter } from '../../src/formats/index.js';
import { pseudoRandom } from '../../src/testing/index.js';
import { fuzzAsync } from './fuzz.js';

type TextRow = readonly [key: string, value: string];

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'entrepot-table-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

/** Writes rows, and tells which were taken. */
function write(path: string, rows: Iterable<TextRow>, name = 'test'): boolean[] {
  const writer = new TableWriter(path, name);
  const taken = Array.from(rows, ([key, value]) => writer.add(key, value));
  writer.finish();
  return taken;
}

async function open(path: string, name = 'test'): Promise<FileTable> {
  const table = await FileTable.open(path, name);
  onTestFinished(() => table.close());
  return table;
}

function listed(table: Pick<Table, 'rows'>): TextRow[] {
  return Array.from(table.rows(), ([key, value]) => [key, value.toString()]);
}

function textOf(random: () => number, longest: number): string {
  const letters = ['a', 'b', '/', 'é', '猫', '\u{1f600}', '\0', '-'];
  const length = Math.floor(random() ** 4 * longest);
  return Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join('');
}

describe('a table', () => {
  it('finds rows by key and lists them in the order in which they were added', async () => {
    const path = join(folder(), 'table');
    write(path, [
      ['b', '2'],
      ['a', '1'],
      ['', 'the empty key'],
      ['empty', ''],
    ]);
    const table = await open(path);
    expect(table.size).toBe(4);
    expect(listed(table)).toEqual([
      ['b', '2'],
      ['a', '1'],
      ['', 'the empty key'],
      ['empty', ''],
    ]);
    expect(['b', 'a', '', 'empty', 'c'].map((key) => table.get(key)?.toString())).toEqual([
      '2',
      '1',
      'the empty key',
      '',
      undefined,
    ]);
  });

  it('may be empty', async () => {
    const path = join(folder(), 'table');
    write(path, []);
    const table = await open(path);
    expect([table.size, listed(table), table.get('a')]).toEqual([0, [], undefined]);
  });

  it('keeps the first row with a key, and says so', async () => {
    const path = join(folder(), 'table');
    const taken = write(path, [
      ['a', '1'],
      ['a', '2'],
      ['b', '3'],
      ['a', '4'],
    ]);
    expect(taken).toEqual([true, false, true, false]);
    expect(listed(await open(path))).toEqual([
      ['a', '1'],
      ['b', '3'],
    ]);
  });

  it('holds what a map holds, whatever the keys, the values and the duplicates', async () => {
    const random = pseudoRandom(7);
    for (const [round, count] of [0, 1, 2, 10, 700, 3000].entries()) {
      const path = join(folder(), `table-${round}`);
      const rows = Array.from({ length: count }, (): TextRow => [textOf(random, 40), textOf(random, 4000)]);
      // Larger than what is written and read at once.
      if (count === 700) rows.splice(300, 0, ['large', 'x'.repeat(3 * 1024 * 1024)], ['l'.repeat(70_000), 'y']);
      const expected = new Map<string, string>();
      const wasNew = rows.map(([key, value]) => {
        const isNew = !expected.has(key);
        if (isNew) expected.set(key, value);
        return isNew;
      });
      expect(write(path, rows)).toEqual(wasNew);
      const table = await open(path);
      expect(listed(table)).toEqual([...expected]);
      for (const [key, value] of expected) expect(table.get(key)?.toString()).toBe(value);
      for (let tried = 0; tried < 200; tried += 1) {
        const key = `${textOf(random, 40)}?`;
        expect(table.get(key)).toBeUndefined();
      }
    }
  });

  it('gives values that stay as they are when others are read', async () => {
    const path = join(folder(), 'table');
    write(path, [
      ['a', 'first'],
      ['b', 'other'],
    ]);
    const table = await open(path);
    const [one, other] = [table.get('a'), table.get('b')];
    expect([one?.toString(), other?.toString()]).toEqual(['first', 'other']);
  });

  it('refuses rows that are too long to be looked up', () => {
    const writer = new TableWriter(join(folder(), 'table'), 'test');
    onTestFinished(() => writer.close());
    expect(() => writer.add('a', Buffer.alloc(16 * 1024 * 1024 + 1))).toThrow(/16777216 bytes at most/);
  });

  it('refuses a file that was written under another name, is unfinished, or is something else', async () => {
    const path = folder();
    write(join(path, 'table'), [['a', '1']], 'one');
    await expect(FileTable.open(join(path, 'table'), 'other')).rejects.toThrow(/made from something else/);
    const unfinished = new TableWriter(join(path, 'unfinished'), 'one');
    unfinished.add('a', 'x'.repeat(2 * 1024 * 1024));
    unfinished.close();
    writeFileSync(join(path, 'foreign'), 'x'.repeat(4096));
    writeFileSync(join(path, 'empty'), '');
    for (const file of ['unfinished', 'foreign', 'empty'])
      await expect(FileTable.open(join(path, file), 'one')).rejects.toThrow(DamagedTableError);
    await expect(FileTable.open(join(path, 'missing'), 'one')).rejects.toThrow(/ENOENT/);
    expect(() => new TableWriter(join(path, 'table'), 'one')).toThrow(/EEXIST/);
  });

  it('tells of every damage, gives no wrong value, and ends', async () => {
    const random = pseudoRandom(23);
    const path = folder();
    const rows = Array.from({ length: 40 }, (_, index): TextRow => [`key-${index}`, textOf(random, 400)]);
    write(join(path, 'whole'), rows);
    const whole = readFileSync(join(path, 'whole'));
    const outcomes = { whole: 0, damaged: 0 };
    await fuzzAsync(
      random,
      3000,
      () => whole,
      async (bytes) => {
        writeFileSync(join(path, 'tried'), bytes);
        const isWhole = bytes.equals(whole);
        let table: FileTable | undefined;
        try {
          table = await FileTable.open(join(path, 'tried'), 'test');
          expect(listed(table)).toEqual(rows);
          for (const [key, value] of rows) expect(table.get(key)?.toString()).toBe(value);
          // Bits that nothing reads, between the rows.
          outcomes.whole += 1;
        } catch (error) {
          if (!(error instanceof DamagedTableError)) throw error;
          expect(isWhole).toBe(false);
          outcomes.damaged += 1;
        } finally {
          table?.close();
        }
      },
    );
    expect(outcomes.whole).toBeGreaterThan(150);
    expect(outcomes.damaged).toBeGreaterThan(2000);
  });

  it('tells of damage to a row that is looked up, and reads the others', async () => {
    const path = join(folder(), 'table');
    write(path, [
      ['one', 'the first value'],
      ['two', 'the second value'],
    ]);
    const bytes = readFileSync(path);
    bytes[bytes.indexOf('second')] = 0;
    writeFileSync(path, bytes);
    const table = await open(path);
    expect(table.get('one')?.toString()).toBe('the first value');
    expect(table.isDamaged).toBe(false);
    expect(() => table.get('two')).toThrow(DamagedTableError);
    expect(() => listed(table)).toThrow(DamagedTableError);
    expect(table.isDamaged).toBe(true);
  });

  it('may be in memory', () => {
    const table = new MemoryTable();
    expect([table.add('b', '1'), table.add('a', Buffer.from('2')), table.add('b', '3')]).toEqual([true, true, false]);
    expect([table.size, listed(table), table.get('a')?.toString(), table.get('c')]).toEqual([
      2,
      [
        ['b', '1'],
        ['a', '2'],
      ],
      '2',
      undefined,
    ]);
    expect(table.weight).toBeGreaterThan(200);
  });
});
