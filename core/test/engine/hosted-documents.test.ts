import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Entry, EntrepotError, type JoinedPiece, type ListingClass } from '../../src/index.js';
import { digestOf, FixedPolicy } from '../../src/testing/index.js';
import { hostedSide, type HostedClassChanges } from './hosted-protocol.js';
import { openHarness, patterned, type Harness, type HarnessOptions } from './harness.js';

function open(changes: HostedClassChanges = {}, options: HarnessOptions = {}): Promise<Harness> {
  return openHarness({ kind: 'hosted', side: hostedSide(changes), ...options });
}

/** Notes the names of the index's methods that are called. */
function spyOn({ entries }: Harness): string[] {
  const called: string[] = [];
  for (const name of ['find', 'list', 'change', 'revision'] as const) {
    const method = entries[name].bind(entries) as (...given: unknown[]) => Promise<never>;
    entries[name] = (...given: unknown[]) => {
      called.push(name);
      return method(...given);
    };
  }
  return called;
}

async function putAll({ ask }: Harness, names: readonly string[]): Promise<void> {
  for (const name of names) expect((await ask('PUT', `/files/${name}?overwrite`, {}, name)).status).toBe(201);
}

describe('a document that is made from entries', () => {
  it('holds those that its selection names, in order', async () => {
    const harness = await open();
    await putAll(harness, ['b', 'a', 'sub/c', 'd', '中', '😀']);
    const list = async (path: string): Promise<string[]> =>
      (await (await harness.get(path)).text())
        .split('\n')
        .flatMap((line) => line.split(' ', 1))
        .filter(Boolean);
    expect(await list('/list')).toEqual(['files/a', 'files/b', 'files/d', 'files/sub/c', 'files/中', 'files/😀']);
    expect(await list('/list/files/sub/')).toEqual(['files/sub/c']);
    expect(await list('/list/files/?after=files/a&limit=2')).toEqual(['files/b', 'files/d']);
    expect(await list('/list/files/?limit=0')).toEqual([]);
    expect(await list('/list/files/?after=files/zzz&limit=5')).toEqual(['files/中', 'files/😀']);
    expect(await list('/list/files/?after=files/😀')).toEqual([]);
  });

  it('is not found without entries, unless it may be empty, or without the entry that it needs', async () => {
    const harness = await open();
    const { get } = harness;
    expect((await get('/list')).status).toBe(200);
    expect((await get('/list/files/')).status).toBe(404);
    expect((await get('/list/files/?empty')).status).toBe(200);
    expect((await get('/list/files/?empty&requires=files/a')).status).toBe(404);
    await putAll(harness, ['a']);
    expect((await get('/list/files/?requires=files/a')).status).toBe(200);
    expect((await get('/list/other/?requires=files/a')).status).toBe(404);
    expect((await get('/list/other/?empty&requires=files/a')).status).toBe(200);
  });

  it('shows a change at once', async () => {
    const harness = await open();
    const { get, ask } = harness;
    await putAll(harness, ['a']);
    const before = await get('/list');
    await putAll(harness, ['b']);
    const after = await get('/list', { 'if-none-match': before.headers['ETag'] as string });
    expect([after.status, await after.text()]).toEqual([200, 'files/a 1\nfiles/b 1\n']);
    await ask('DELETE', '/files/b');
    const again = await get('/list');
    expect(again.headers['ETag']).toBe(before.headers['ETag']);
  });

  it('is made once for a revision, and asks the index once a second for that alone', async () => {
    let rendered = 0;
    const harness = await open({
      list: {
        async *render(_resource, entries) {
          rendered += 1;
          for await (const { key } of entries) yield key;
        },
      },
    });
    await putAll(harness, ['a']);
    await Promise.all(Array.from({ length: 20 }, () => harness.get('/list')));
    await harness.get('/files/a');
    expect(rendered).toBe(1);
    const called = spyOn(harness);
    for (let elapsed = 0; elapsed < 2000; elapsed += 100) {
      expect((await harness.get('/list')).status).toBe(200);
      expect((await harness.get('/files/a')).status).toBe(200);
      harness.clock.advance(100);
    }
    expect(rendered).toBe(1);
    expect(called).toEqual(['revision']);
    expect(await (await harness.get('/list?variant=two')).text()).toBe('files/a');
    expect(rendered).toBe(2);
  });

  it('shows what another replica changed after a second, files too', async () => {
    const mine = await open();
    const other = await open({}, { shared: mine });
    await putAll(mine, ['a']);
    await mine.get('/list');
    await mine.get('/files/a');
    await other.ask('PUT', '/files/a?overwrite', {}, 'changed');
    expect(await (await mine.get('/files/a')).text()).toBe('a');
    mine.clock.advance(1000);
    expect(await (await mine.get('/files/a')).text()).toBe('changed');
    expect(await (await mine.get('/list')).text()).toBe('files/a 7\n');
    await other.ask('DELETE', '/files/a');
    mine.clock.advance(1000);
    expect((await mine.get('/files/a')).status).toBe(404);
    expect(await (await mine.get('/list')).text()).toBe('');
  });

  it('answers HEAD and conditions, and compresses', async () => {
    const harness = await open();
    const { get, ask } = harness;
    await putAll(
      harness,
      Array.from({ length: 60 }, (_, index) => `a/long/name/of/a/file-${index}`),
    );
    const whole = await get('/list');
    const text = await whole.text();
    expect(whole.headers).toMatchObject({ 'Content-Length': String(text.length), Vary: 'Accept-Encoding' });
    expect((await ask('HEAD', '/list')).headers).toEqual(whole.headers);
    const zipped = await get('/list', { 'accept-encoding': 'gzip' });
    expect(zipped.headers['Content-Encoding']).toBe('gzip');
    expect(gunzipSync(await zipped.bytes()).toString()).toBe(text);
    expect(zipped.headers['ETag']).not.toBe(whole.headers['ETag']);
    expect((await get('/list', { 'if-none-match': whole.headers['ETag'] as string })).status).toBe(304);
  });

  it('is made anew when policy changes', async () => {
    const policy = new FixedPolicy([]);
    const harness = await open(
      {
        list: {
          async *render(_resource, entries, { admits }) {
            for await (const { key } of entries)
              if (admits({ ecosystem: 'test', name: key, version: '1' })) yield `${key}\n`;
          },
        },
      },
      { policy },
    );
    await putAll(harness, ['a', 'b']);
    expect(await (await harness.get('/list')).text()).toBe('files/a\nfiles/b\n');
    policy.setRules([
      { id: 'r', action: 'deny', reason: 'bad', matches: ({ coordinates }) => coordinates.name === 'files/b' },
    ]);
    expect(await (await harness.get('/list')).text()).toBe('files/a\n');
  });

  it('is made anew from the first time on that its hook names, and no cache keeps it for longer', async () => {
    let made = 0;
    const harness: Harness = await open({
      list: {
        async render(_resource, _entries, { rightUntil }) {
          made += 1;
          for (const seconds of [90, 60]) rightUntil(harness.clock.now() + 1000 * seconds);
          return [`made ${made}`];
        },
      },
    });
    const texts: string[] = [];
    for (const seconds of [0, 59, 1, 59, 1]) {
      harness.clock.advance(1000 * seconds);
      const { headers, text } = await harness.get('/list');
      texts.push(await text());
      expect(headers['Cache-Control']).toBe('no-cache');
    }
    expect(texts).toEqual(['made 1', 'made 1', 'made 2', 'made 2', 'made 3']);
  });

  it('can have headers of its own, and reads the bytes of entries', async () => {
    const harness = await open({
      list: {
        async render(_resource, entries, { content }) {
          const texts: string[] = [];
          for await (const entry of entries) texts.push(Buffer.from(await content(entry).bytes(100)).toString());
          return { bytes: [texts.join('+')], headers: { Link: '</list?after=b>; rel="next"' } };
        },
      },
    });
    await putAll(harness, ['a', 'b']);
    for (const method of ['GET', 'HEAD', 'GET']) {
      const reply = await harness.ask(method, '/list');
      expect(reply.headers['Link']).toBe('</list?after=b>; rel="next"');
      if (method === 'GET') expect(await reply.text()).toBe('a+b');
    }
    const { headers } = await harness.get('/list');
    const unchanged = await harness.get('/list', { 'if-none-match': headers['ETag'] as string });
    expect(unchanged).toMatchObject({ status: 304, headers: { Link: headers['Link'] } });
  });

  it('fails as the hook fails, and is tried again', async () => {
    let fails = true;
    const harness = await open({
      list: {
        async *render() {
          yield 'half';
          if (fails) throw new TypeError('no such thing');
        },
      },
    });
    expect((await harness.get('/list')).status).toBe(500);
    fails = false;
    expect(await (await harness.get('/list')).text()).toBe('half');
    const strict = await open({
      list: {
        render: async () => {
          throw new EntrepotError('bad-request', 'n must be a number');
        },
      },
    });
    expect((await strict.get('/list')).status).toBe(400);
  });
});

describe('headers of a resource', () => {
  it('come with every reply, and the digest with them', async () => {
    const harness = await open();
    const { get, ask } = harness;
    await ask('PUT', '/files/a', {}, 'hello');
    const expected = { 'X-Registry': 'yes', 'X-Digest': digestOf('hello') };
    for (let times = 0; times < 2; times += 1) {
      const whole = await get('/files/a');
      expect(whole).toMatchObject({ status: 200, headers: expected });
      expect(await ask('HEAD', '/files/a')).toMatchObject({ status: 200, headers: expected });
      expect(await get('/files/a', { range: 'bytes=1-2' })).toMatchObject({ status: 206, headers: expected });
      const etag = whole.headers['ETag'] as string;
      expect(await get('/files/a', { 'if-none-match': etag })).toMatchObject({ status: 304, headers: expected });
    }
    expect((await get('/files/none')).headers['X-Registry']).toBeUndefined();
  });

  it("come with a proxy's replies, kept or coming, and a rewritten document can have its own", async () => {
    const render = () => ({ bytes: ['rewritten'], headers: { 'Content-Disposition': 'inline', 'X-Own': '1' } });
    const harness = await openHarness({ side: hostedSide({ text: { reply: { render } } }) });
    harness.upstream.serve('/files/a', { body: 'hello', headers: { 'content-disposition': 'attachment' } });
    harness.upstream.serve('/text/a', { body: 'hello', headers: { 'content-disposition': 'attachment' } });
    for (const outcome of ['MISS', 'HIT', 'HIT']) {
      const reply = await harness.get('/files/a');
      await reply.text();
      expect(reply.headers).toMatchObject({ 'X-Cache': outcome, 'X-Registry': 'yes' });
    }
    expect((await harness.get('/files/a')).headers['X-Digest']).toBe(digestOf('hello'));
    const { headers } = await harness.get('/text/a');
    expect(headers).toMatchObject({ 'Content-Disposition': 'inline', 'X-Own': '1' });
    expect(headers['content-disposition']).toBeUndefined();
  });
});

describe('a document in pieces', () => {
  const PIECE = 60_000;
  /** `head\n`, each entry's bytes between lines with its key, `tail\n`. */
  const join: ListingClass['join'] = (resource, entries) =>
    resource.variant === 'rendered'
      ? undefined
      : [
          Buffer.from('head\n'),
          ...entries.flatMap((entry): JoinedPiece[] => [Buffer.from(`${entry.key}\n`), entry]),
          Buffer.from('tail\n'),
        ];

  async function openJoined(count: number, hook = join): Promise<{ harness: Harness; whole(): Buffer }> {
    const harness = await open({ list: { join: hook } });
    const pieces = Array.from({ length: count }, (_, index) => patterned(PIECE + index));
    for (const [index, piece] of pieces.entries()) await harness.ask('PUT', `/files/${index + 100}`, {}, piece);
    const whole = (): Buffer =>
      Buffer.concat([
        Buffer.from('head\n'),
        ...pieces.flatMap((piece, index) => [Buffer.from(`files/${index + 100}\n`), piece]),
        Buffer.from('tail\n'),
      ]);
    return { harness, whole };
  }

  it.each([0, 1, 3, 20])('is what its %i pieces are together, plain and compressed', async (count) => {
    const { harness, whole } = await openJoined(count);
    const plain = await harness.get('/list');
    expect((await plain.bytes()).equals(whole())).toBe(true);
    expect(plain.headers['Content-Length']).toBe(String(whole().length));
    const zipped = await harness.get('/list', { 'accept-encoding': 'gzip' });
    const bytes = await zipped.bytes();
    expect(zipped.headers).toMatchObject({ 'Content-Encoding': 'gzip', 'Content-Length': String(bytes.length) });
    expect(gunzipSync(bytes).equals(whole())).toBe(true);
    for (const { headers } of [plain, zipped]) {
      const accept = headers['Content-Encoding'] === undefined ? {} : { 'accept-encoding': 'gzip' };
      expect((await harness.ask('HEAD', '/list', accept)).headers).toEqual(headers);
      const etag = headers['ETag'] as string;
      expect((await harness.get('/list', { ...accept, 'if-none-match': etag })).status).toBe(304);
    }
    expect(zipped.headers['ETag']).not.toBe(plain.headers['ETag']);
  });

  it('is one gzip member, so that no client takes its first piece for the whole', async () => {
    const { harness } = await openJoined(20);
    const bytes = await (await harness.get('/list', { 'accept-encoding': 'gzip' })).bytes();
    expect(bytes.indexOf(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), 1)).toBe(-1);
    expect(bytes.readUInt32LE(bytes.length - 4)).toBe(20 * PIECE + 190 + 20 * 10 + 10);
  });

  it('reads and compresses only the piece that changed', async () => {
    const { harness } = await openJoined(20);
    await (await harness.get('/list', { 'accept-encoding': 'gzip' })).bytes();
    const before = (await harness.get('/list')).headers['ETag'];
    const read: string[] = [];
    const { blobs } = harness;
    const opened = blobs.open.bind(blobs);
    blobs.open = (digest, options) => {
      read.push(digest);
      return opened(digest, options);
    };
    const changed = patterned(PIECE - 1);
    await harness.ask('PUT', '/files/105?overwrite', {}, changed);
    const zipped = await harness.get('/list', { 'accept-encoding': 'gzip' });
    expect(gunzipSync(await zipped.bytes()).includes(changed)).toBe(true);
    const plain = await harness.get('/list');
    expect((await plain.bytes()).includes(changed)).toBe(true);
    expect(plain.headers['ETag']).not.toBe(before);
    expect(read).toEqual([digestOf(changed)]);
  });

  it('is joined once for a revision, and does not ask the index again', async () => {
    let joined = 0;
    const { harness } = await openJoined(20, (...given) => {
      joined += 1;
      return join(...given);
    });
    await Promise.all(Array.from({ length: 10 }, () => harness.get('/list')));
    const called = spyOn(harness);
    await (await harness.get('/list')).bytes();
    await (await harness.get('/list', { 'accept-encoding': 'gzip' })).bytes();
    expect([joined, called]).toEqual([1, []]);
  });

  it('breaks off when a piece is lost meanwhile, never ends as if it were whole, and is rendered from then on', async () => {
    const { harness } = await openJoined(20);
    const { digest } = (await harness.entries.find('test', 'files/110')) as Entry;
    await (await harness.get('/list')).bytes();
    await harness.blobs.delete(digest);
    harness.storage.blobs.forget(digest);
    await expect((await harness.get('/list')).bytes()).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    expect(await (await harness.get('/list')).text()).toContain('files/110 60010\n');
  });

  it('is rendered while a piece is lost, and joined when that was put again', async () => {
    const { harness } = await openJoined(20);
    const { digest } = (await harness.entries.find('test', 'files/110')) as Entry;
    await harness.blobs.delete(digest);
    harness.storage.blobs.forget(digest);
    expect(await (await harness.get('/list')).text()).toContain('files/110 60010\n');
    await harness.ask('PUT', '/files/110?overwrite', {}, 'new');
    expect((await harness.get('/list', { 'accept-encoding': 'gzip' })).status).toBe(200);
    expect(await (await harness.get('/list')).text()).not.toContain('files/110 60010\n');
  });

  it('takes large pieces as they are', async () => {
    const harness = await open({ list: { join } });
    const large = patterned(9 * 1024 * 1024);
    await harness.ask('PUT', '/files/large', {}, large);
    const reply = await harness.get('/list', { 'accept-encoding': 'gzip' });
    expect(reply.headers['Content-Encoding']).toBeUndefined();
    expect((await reply.bytes()).subarray(17, -5).equals(large)).toBe(true);
  });

  it('leaves documents that it does not join to render', async () => {
    const { harness } = await openJoined(1);
    expect(await (await harness.get('/list?variant=rendered')).text()).toBe('files/100 60000\n');
  });
});

it('lets others be served while a long document is made', async () => {
  const harness = await open();
  await putAll(harness, ['a']);
  const [first] = await harness.entries.list('test', { prefix: '', limit: 1 });
  const all = Array.from({ length: 50_000 }, (_, index) => ({
    ...(first as Entry),
    key: `files/${String(index).padStart(6, '0')}`,
  }));
  // As an embedded database answers: at once.
  harness.entries.list = async (_repository, { after = '', limit = Infinity }) => {
    const from = after === '' ? 0 : Number(after.slice('files/'.length)) + 1;
    return all.slice(from, from + limit);
  };
  let turns = 0;
  let isMade = false;
  const count = (): void => {
    turns += 1;
    if (!isMade) setImmediate(count);
  };
  setImmediate(count);
  const text = await (await harness.get('/list')).text();
  isMade = true;
  expect(text.split('\n').filter(Boolean)).toHaveLength(50_000);
  expect(turns).toBeGreaterThan(100);
});
