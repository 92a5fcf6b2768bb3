import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Content } from '../../src/index.js';
import {
  FileTable,
  malformed,
  TableMaker,
  tableProgram,
  type NewRow,
  type Table,
  type TableSource,
} from '../../src/formats/index.js';

/** A list of `key=value`, one a line. */
async function* readLines(
  { mediaType, stream, bytes }: Content,
  { twice }: { twice: boolean },
): AsyncGenerator<NewRow> {
  // Gives up the first reading where it begins.
  if (twice) for await (const _ of stream()) break;
  let text = '';
  for await (const piece of stream()) text += Buffer.from(piece).toString();
  if (text.includes('!')) throw malformed('lines', 'it has a "!"');
  if (text.includes('?')) throw new TypeError('no question');
  yield [mediaType, String((await bytes(1e6)).length)];
  for (const line of text.split('\n')) yield line.split('=', 2) as [string, string];
}

/** The same program, in a thread, with core as it was built. */
const THREAD = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { answerTasks, tableProgram, malformed } from '${new URL('../../dist/formats/index.js', import.meta.url).href}';
    ${readLines.toString().replaceAll(/__vite_ssr_import_\d+__\.|\(0, *([a-z]+)\)/g, '$1')}
    answerTasks(tableProgram(readLines));
  `)}`,
);

function sourceOf(text: string, piece = 7): TableSource {
  const bytes = Buffer.from(text);
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  }
  return { size: bytes.length, mediaType: 'text/plain', stream };
}

describe.each([
  ['in a thread', THREAD],
  ['on the thread that asks', () => tableProgram(readLines)],
])('making tables %s', (_, program) => {
  function start(): { path: string; maker: TableMaker<{ twice: boolean }> } {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-tables-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return { path: join(folder, 'table'), maker: new TableMaker(program) };
  }

  async function rowsAt(path: string): Promise<string[]> {
    const table = await FileTable.open(path, 'lines');
    onTestFinished(() => table.close());
    return rowsOf(table);
  }

  function rowsOf(table: Table): string[] {
    return Array.from(table.rows(), ([key, value]) => `${key}=${value.toString()}`);
  }

  it.each([false, true])('writes the rows that are read from the source (begun anew: %s)', async (twice) => {
    const { path, maker } = start();
    const lines = Array.from({ length: 50_000 }, (_value, index) => `key-${index}=${index}`);
    const text = lines.join('\n');
    await maker.write(path, 'lines', sourceOf(text, 10_000), { twice });
    expect(await rowsAt(path)).toEqual([`text/plain=${text.length}`, ...lines]);
  });

  it('reads a small source into memory', async () => {
    const { maker } = start();
    const table = await maker.read(sourceOf('a=1\nb=2\na=3'), { twice: true });
    expect(rowsOf(table)).toEqual(['text/plain=11', 'a=1', 'b=2']);
  });

  it('tells why the source is refused, and goes on', async () => {
    const { path, maker } = start();
    await expect(maker.write(`${path}-1`, 'lines', sourceOf('a=!'), { twice: false })).rejects.toMatchObject({
      kind: 'upstream-unavailable',
      code: 'UPSTREAM_MALFORMED',
      message: expect.stringContaining('it has a "!"'),
    });
    await expect(maker.write(`${path}-2`, 'lines', sourceOf('a=?'), { twice: false })).rejects.toThrow('no question');
    await maker.write(path, 'lines', sourceOf('a=1'), { twice: false });
    expect(await rowsAt(path)).toEqual(['text/plain=3', 'a=1']);
  });

  it('gives up when the source fails', async () => {
    const { path, maker } = start();
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a=1');
      throw new Error('the disk is gone');
    }
    await expect(
      maker.write(path, 'lines', { size: 9, mediaType: 'text/plain', stream }, { twice: false }),
    ).rejects.toThrow('the disk is gone');
    await expect(FileTable.open(path, 'lines')).rejects.toThrow();
  });

  it('makes several at a time', async () => {
    const { path, maker } = start();
    const texts = ['a=1', 'b=2', 'c=3'];
    await Promise.all(
      texts.map((text, index) => maker.write(`${path}-${index}`, 'lines', sourceOf(text), { twice: false })),
    );
    const made = await Promise.all(texts.map((_text, index) => rowsAt(`${path}-${index}`)));
    expect(made.map((rows) => rows.at(-1))).toEqual(texts);
  });
});
