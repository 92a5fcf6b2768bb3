import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allowAll, documentClass, type FactName, type Parsed } from '../../src/index.js';
import { malformed, TableMaker, tableProgram, type NewRow, type Table } from '../../src/formats/index.js';
import { INDEX, openHarness, parsedOf, sri, withClasses, type Harness, type HarnessOptions } from './harness.js';

interface Parameters {
  readonly suffix: string;
}

/** Whatever was read of indexes, in order: `rows`, or `parsed`. */
interface Readings {
  readonly readings: string[];
}

const LINE = /^(\S+) (\S+)$/;

/** An index of lines `path sri`, as rows; without `parse` the small ones, too. */
function tabledIndex(readings: string[], { suffix = '', parses = false, looksAt = false } = {}) {
  async function* read(
    { stream }: { stream(): AsyncIterable<Uint8Array> },
    { suffix }: Parameters,
  ): AsyncGenerator<NewRow> {
    readings.push('rows');
    let text = '';
    for await (const piece of stream()) text += Buffer.from(piece).toString();
    for (const line of text.split('\n').filter(Boolean)) {
      const [, path = '', digest = ''] = LINE.exec(line) ?? [];
      if (path === '') throw malformed('index.json', 'it has a line without a path');
      yield [`described/${path}${suffix}`, digest];
    }
  }
  const describe = (digest: string) => ({
    integrity: [{ algorithm: 'sha512' as const, hex: Buffer.from(digest.slice(7), 'base64').toString('hex') }],
    coordinates: { ecosystem: 'test', name: 'x', version: '1' },
  });
  return documentClass({
    about: 'a large index',
    reply: {
      async *render(document: Parsed) {
        for (const [key] of document.descriptions?.() ?? []) yield `${key}\n`;
      },
    },
    ...(parses && {
      async parse(content) {
        readings.push('parsed');
        const lines = Buffer.from(await content.bytes(1e9))
          .toString()
          .split('\n');
        return parsedOf(new Map(lines.map((line) => [`described/${line.split(' ')[0]}`, describe(sri('a'))])));
      },
    }),
    table: {
      maker: new TableMaker(() => tableProgram(read)),
      revision: 1,
      parameters: (_resource, context): Parameters & { needs?: unknown } => ({
        suffix,
        ...(looksAt && { needs: [...context.needs] }),
      }),
      open: (table: Table): Parsed => ({
        weight: table.weight,
        describe: (key) => {
          const found = table.get(key);
          return found && describe(found.toString());
        },
        *descriptions() {
          for (const [key, value] of table.rows()) yield [key, describe(value.toString())] as const;
        },
      }),
    },
  });
}

type Options = HarnessOptions & NonNullable<globalThis.Parameters<typeof tabledIndex>[1]>;

async function open(options: Options = {}, readings: string[] = []): Promise<Harness & Readings> {
  const side = withClasses(
    { index: tabledIndex(readings, options) },
    {
      route: ({ segments }) => {
        const key = segments.join('/');
        return key === INDEX.key ? INDEX : { class: 'described', key, path: key };
      },
    },
  );
  const harness = await openHarness({ side, ...options });
  for (const name of ['a', 'b', 'c']) harness.upstream.serve(`/described/${name}`, { body: name });
  return Object.assign(harness, { readings });
}

/** An index of `a`, `b` and `c`, and so many others. */
function indexOf(others: number): string {
  const named = ['a', 'b', 'c'].map((name) => `${name} ${sri(name)}\n`);
  return named.join('') + Array.from({ length: others }, (_, at) => `other-${at} ${sri('x')}\n`).join('');
}

const LARGE = indexOf(25_000);

async function tablesOf({ directory }: Harness): Promise<string[]> {
  const folder = join(directory, 'tables');
  return (await readdir(folder).catch(() => [])).map((file) => join(folder, file));
}

async function statuses({ get }: Harness, ...names: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const name of names) found.push((await get(`/described/${name}`)).status);
  return found;
}

describe('a large document', () => {
  it('is read as rows once, however many artifacts it describes', async () => {
    const harness = await open();
    harness.upstream.serve('/index.json', { body: LARGE });
    expect(await statuses(harness, 'a', 'b', 'c', 'd')).toEqual([200, 200, 200, 404]);
    expect(harness.readings).toEqual(['rows']);
    expect(await tablesOf(harness)).toHaveLength(1);
    expect((await (await harness.get('/index.json')).text()).startsWith('described/a\ndescribed/b\n')).toBe(true);
  });

  it('keeps what it promises: bytes that are not those are refused', async () => {
    const harness = await open();
    harness.upstream.serve('/index.json', { body: LARGE.replace(sri('a'), sri('b')) });
    expect(await statuses(harness, 'a', 'b')).toEqual([502, 200]);
  });

  it('is not read again by a server that has started anew, nor by another repository with the same bytes', async () => {
    const before = await open();
    before.upstream.serve('/index.json', { body: LARGE });
    expect(await statuses(before, 'a')).toEqual([200]);
    const restarted = await open({ directory: before.directory, shared: before });
    expect([await statuses(restarted, 'b'), restarted.readings]).toEqual([[200], []]);
    const other = await open({ directory: before.directory });
    other.upstream.serve('/index.json', { body: LARGE });
    expect([await statuses(other, 'c'), other.readings]).toEqual([[200], []]);
  });

  it('has a table for each of the parameters that its class gives', async () => {
    const before = await open();
    before.upstream.serve('/index.json', { body: LARGE });
    expect(await statuses(before, 'a')).toEqual([200]);
    const other = await open({ directory: before.directory, shared: before, suffix: '.x' });
    other.upstream.serve('/described/b.x', { body: 'b' });
    expect([await statuses(other, 'b.x'), other.readings]).toEqual([[200], ['rows']]);
    expect(await tablesOf(before)).toHaveLength(2);
  });

  it('is read again when policy looks at more, where its class looks at that', async () => {
    let needs: FactName[] = [];
    const policy = { ...allowAll, needs: () => new Set(needs) };
    for (const [looksAt, expected] of [
      [true, 2],
      [false, 1],
    ] as const) {
      needs = [];
      const harness = await open({ policy, looksAt });
      harness.upstream.serve('/index.json', { body: LARGE });
      await statuses(harness, 'a', 'b');
      needs = ['licenses'];
      await statuses(harness, 'c');
      expect(harness.readings).toHaveLength(expected);
    }
  });

  it('is read again where its table is damaged, foreign or gone', async () => {
    const before = await open();
    before.upstream.serve('/index.json', { body: LARGE });
    expect(await statuses(before, 'a')).toEqual([200]);
    const [path = ''] = await tablesOf(before);
    const whole = await readFile(path);
    const zeros = Buffer.alloc(whole.length);
    // While it is open, and by a server that starts.
    whole.copy(zeros, 0, 0, 88);
    await writeFile(path, zeros);
    expect([await statuses(before, 'b'), before.readings]).toEqual([[200], ['rows', 'rows']]);
    for (const damage of [zeros, Buffer.from('foreign'), Buffer.alloc(0), whole.subarray(0, -1)]) {
      await writeFile(path, damage);
      const restarted = await open({ directory: before.directory, shared: before });
      expect([await statuses(restarted, 'c'), restarted.readings]).toEqual([[200], ['rows']]);
      expect((await stat(path)).size).toBe(whole.length);
      await before.entries.remove('test', 'described/c');
    }
  });

  it('is refused where it is none, and the cached copy stays', async () => {
    const harness = await open();
    harness.upstream.serve('/index.json', { body: LARGE });
    expect(await statuses(harness, 'a')).toEqual([200]);
    harness.upstream.serve('/index.json', { body: `${LARGE} broken\n` });
    harness.clock.advance(1e9);
    expect((await harness.get('/index.json')).outcome.name).toBe('stale');
    expect(await statuses(harness, 'b')).toEqual([200]);
    expect(await tablesOf(harness)).toHaveLength(1);
    const cold = await open();
    cold.upstream.serve('/index.json', { body: `${LARGE} broken\n` });
    const answer = await cold.get('/described/a');
    expect([answer.status, await answer.text()]).toEqual([502, expect.stringContaining('a line without a path')]);
    expect(await tablesOf(cold)).toEqual([]);
  });

  it.each([false, true])(
    'is rows also where it could be parsed, and its size is not told: chunked %s',
    async (chunked) => {
      const harness = await open({ parses: true });
      harness.upstream.serve('/index.json', { body: LARGE, chunked });
      expect((await harness.get('/index.json')).status).toBe(200);
      expect(await statuses(harness, 'a', 'b')).toEqual([200, 200]);
      // It was read while it arrived, as long as it was small.
      expect(harness.readings).toEqual(chunked ? ['parsed', 'rows'] : ['rows']);
    },
  );
});

describe('a small document', () => {
  it('is in memory alone', async () => {
    const harness = await open();
    harness.upstream.serve('/index.json', { body: indexOf(20) });
    expect(await statuses(harness, 'a', 'b')).toEqual([200, 200]);
    expect([harness.readings, await tablesOf(harness)]).toEqual([['rows'], []]);
  });

  it('is parsed where its class does that', async () => {
    const harness = await open({ parses: true });
    harness.upstream.serve('/index.json', { body: indexOf(20) });
    expect(await statuses(harness, 'a')).toEqual([200]);
    expect([harness.readings, await tablesOf(harness)]).toEqual([['parsed'], []]);
  });
});
