import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EntrepotError, type Access, type Caller, type ChangeClass } from '../../src/index.js';
import { digestOf, Gate } from '../../src/testing/index.js';
import { changedHead } from '../testing/changed.js';
import { hostedSide, linkFrom, linkTo, routeHosted } from './hosted-protocol.js';
import { openHarness, patterned, type Harness, type HarnessOptions } from './harness.js';

type Make = NonNullable<ChangeClass['make']>;

/** Opens a repository whose changes are made by `makes`. */
function open(
  makes: Readonly<Partial<Record<'put' | 'delete' | 'link', Make>>> = {},
  options: HarnessOptions = {},
): Promise<Harness> {
  const changes = Object.fromEntries(Object.entries(makes).map(([name, make]) => [name, { make }]));
  return openHarness({ kind: 'hosted', side: hostedSide(changes), ...options });
}

const hex = (text: string | Buffer, algorithm = 'sha256'): string => createHash(algorithm).update(text).digest('hex');

describe('a change to a hosted repository', () => {
  it('makes the entries that receive names, from the body and from bytes', async () => {
    const { ask, get } = await open({
      put: async ({ key }, content) => ({
        create: [
          { key, mediaType: 'application/x-body' },
          { key: `${key}.size`, bytes: Buffer.from(String(content.size)), mediaType: 'text/plain' },
        ],
      }),
    });
    const created = await ask('PUT', '/files/a', {}, 'hello');
    expect(created).toMatchObject({
      status: 201,
      headers: { ETag: `"${digestOf('hello')}"`, Location: 'https://packages.example.com/test/files/a' },
    });
    const read = await get('/files/a');
    expect([await read.text(), read.headers['Content-Type']]).toEqual(['hello', 'application/x-body']);
    expect(await (await get('/files/a.size')).text()).toBe('5');
  });

  it('stores bytes of a hook in small pieces, however many there are', async () => {
    const sizes = [0, 1, 65_536, 300_000, 5_000_000];
    const pieces: number[] = [];
    const harness = await open({
      put: async ({ key }) => ({
        create: sizes.map((size) => ({ key: `${key}${size}`, bytes: patterned(size), mediaType: 'text/plain' })),
        reply: { status: 201 },
      }),
    });
    const { blobs } = harness;
    const put = blobs.put.bind(blobs);
    blobs.put = async (digest, size, source, options) => {
      const counted = async function* (): AsyncGenerator<Buffer> {
        for await (const piece of source.open()) {
          pieces.push((piece as Buffer).length);
          yield piece as Buffer;
        }
      };
      await put(digest, size, { open: () => Readable.from(counted(), { objectMode: false }) }, options);
    };
    expect((await harness.ask('PUT', '/files/a', {}, 'x')).status).toBe(201);
    for (const size of sizes) {
      const read = await harness.get(`/files/a${size}`);
      expect(read.headers['ETag']).toBe(`"${digestOf(patterned(size))}"`);
      expect((await read.bytes()).equals(patterned(size))).toBe(true);
    }
    expect(Math.max(...pieces)).toBeLessThanOrEqual(131_072);
  });

  it('makes entries from slices of the body', async () => {
    const body = patterned(300_000);
    const { ask, get } = await open({
      put: async ({ key }, { size }) => ({
        create: [
          { key: `${key}.head`, slice: { start: 0, end: 9 }, mediaType: 'text/plain' },
          { key, slice: { start: 10, end: size - 1 }, mediaType: 'application/x-archive' },
        ],
      }),
    });
    expect((await ask('PUT', '/files/a', {}, body)).headers['ETag']).toBe(`"${digestOf(body.subarray(10))}"`);
    expect((await (await get('/files/a')).bytes()).equals(body.subarray(10))).toBe(true);
    expect((await (await get('/files/a.head')).bytes()).equals(body.subarray(0, 10))).toBe(true);
    const beyond = await open({
      put: async ({ key }, { size }) => ({
        create: [{ key, slice: { start: 0, end: size }, mediaType: 'text/plain' }],
      }),
    });
    expect(await beyond.ask('PUT', '/files/a', {}, body)).toMatchObject({ status: 500, outcome: { code: 'PLUGIN' } });
  });

  it('keeps attributes and coordinates with an entry', async () => {
    const coordinates = { ecosystem: 'test', name: 'a', version: '1' };
    const { ask, entries } = await open({
      put: async ({ key }) => ({
        replace: [{ key, mediaType: 'text/plain', coordinates, attributes: { deep: [1, { x: null }] } }],
      }),
    });
    await ask('PUT', '/files/a', {}, 'hello');
    expect(await entries.find('test', 'files/a')).toMatchObject({
      coordinates,
      attributes: { deep: [1, { x: null }] },
    });
  });

  it('puts no blob that no entry needs, and links what another entry has', async () => {
    const { ask, get, blobs } = await open({
      put: async ({ key }) => ({ create: [{ key, bytes: Buffer.from('instead'), mediaType: 'text/plain' }] }),
      link: linkFrom,
    });
    await ask('PUT', '/files/a', {}, 'the body');
    expect(await blobs.stat(digestOf('the body'))).toBeUndefined();
    expect((await ask('LINK', '/files/b?from=files/a')).status).toBe(201);
    expect((await ask('LINK', '/files/b?from=files/a')).status).toBe(200);
    expect((await ask('LINK', '/files/b?from=files/none')).status).toBe(404);
    expect(await (await get('/files/b')).text()).toBe('instead');
  });

  it('does not link to an entry that changes meanwhile', async () => {
    let calls = 0;
    const harness = await open({
      async link({ key }, _content, { find }) {
        const source = await find('files/a');
        calls += 1;
        if (calls === 1) await harness.ask('PUT', '/files/a?overwrite', {}, 'two');
        return linkTo(source as never, key);
      },
    });
    await harness.ask('PUT', '/files/a', {}, 'one');
    await harness.ask('LINK', '/files/b');
    expect(calls).toBe(2);
    expect(await (await harness.get('/files/b')).text()).toBe('two');
  });

  it('carries out all of a change or nothing of it', async () => {
    const { ask, get } = await open({
      put: async () => ({
        create: [
          { key: 'files/new', mediaType: 'text/plain' },
          { key: 'files/taken', mediaType: 'text/plain' },
        ],
        remove: ['files/kept'],
      }),
      link: async ({ key }) => ({ replace: [{ key, bytes: Buffer.from('x'), mediaType: 'text/plain' }] }),
    });
    await ask('LINK', '/files/taken');
    await ask('LINK', '/files/kept');
    expect((await ask('PUT', '/files/any', {}, 'body')).status).toBe(409);
    expect((await get('/files/new')).status).toBe(404);
    expect((await get('/files/kept')).status).toBe(200);
    await ask('DELETE', '/files/taken');
  });

  it('calls the hook again with what is so now, and loses nothing', async () => {
    const { ask, get } = await open({
      async put(_resource, content, { find, content: contentOf }) {
        const kept = await find('files/log');
        const before = kept === undefined ? '' : Buffer.from(await contentOf(kept).bytes(10_000)).toString();
        const line = Buffer.from(await content.bytes(100)).toString();
        return {
          expect: [{ key: 'files/log', digest: kept?.digest }],
          replace: [{ key: 'files/log', bytes: Buffer.from(`${before}${line}\n`), mediaType: 'text/plain' }],
        };
      },
    });
    const lines = Array.from({ length: 12 }, (_, index) => `line ${index}`);
    const answers = await Promise.all(lines.map((line) => ask('PUT', '/files/any', {}, line)));
    expect(answers.every(({ status }) => status < 300)).toBe(true);
    const log = (await (await get('/files/log')).text()).trim().split('\n');
    expect([...log].sort()).toEqual([...lines].sort());
  });

  it('gives up on a change that is never as it expects, and says to come again', async () => {
    let calls = 0;
    const { ask } = await open({
      async put({ key }) {
        calls += 1;
        return { expect: [{ key, digest: digestOf('never') }], replace: [{ key, mediaType: 'text/plain' }] };
      },
    });
    const refused = await ask('PUT', '/files/a', {}, 'x');
    expect(refused).toMatchObject({ status: 503, headers: { 'Retry-After': '1' } });
    expect(await refused.text()).toBe('CHANGE_CONTENDED');
    expect(calls).toBeGreaterThan(5);
    expect(calls).toBeLessThan(100);
  });

  it('makes up exclusive changes one after another', async () => {
    let running = 0;
    let most = 0;
    const { ask } = await open({
      async put({ key }) {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        if (key === 'files/3') throw new EntrepotError('bad-request', 'no');
        return { create: [{ key, mediaType: 'text/plain' }] };
      },
    });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => ask('PUT', `/files/${index}?exclusive=index`, {}, 'x')),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 400, 201, 201, 201, 201]);
    expect(most).toBe(1);
  });

  it('prints the reply of the hook', async () => {
    const { ask } = await open({
      put: async () => ({
        reply: { status: 202, headers: { 'X-Own': '1' }, mediaType: 'application/json', body: '{"ö":1}' },
      }),
      delete: async () => ({ reply: { status: 202 } }),
    });
    const told = await ask('PUT', '/files/a', {}, 'x');
    expect(told).toMatchObject({
      status: 202,
      headers: { 'X-Own': '1', 'Content-Type': 'application/json', 'Content-Length': '8', 'Cache-Control': 'no-store' },
    });
    expect(await told.text()).toBe('{"ö":1}');
    expect(await ask('DELETE', '/files/a')).toMatchObject({ status: 202, headers: { 'Content-Length': '0' } });
  });

  it('checks the digest that the client names before anything is kept', async () => {
    const { ask, get, blobs } = await open();
    const wrong = await ask('PUT', `/files/a?digest=${hex('other')}`, {}, 'hello');
    expect([wrong.status, await wrong.text()]).toEqual([400, 'DIGEST_MISMATCH']);
    expect(await blobs.stat(digestOf('hello'))).toBeUndefined();
    expect((await get('/files/a')).status).toBe(404);
    expect((await ask('PUT', `/files/a?digest=${hex('hello')}`, {}, 'hello')).status).toBe(201);
    expect((await ask('PUT', `/files/b?digest=${hex('hello', 'sha512')}`, {}, 'hello')).status).toBe(201);
    expect((await ask('PUT', `/files/c?digest=${hex('x', 'sha512')}`, {}, 'hello')).status).toBe(400);
    expect((await ask('PUT', `/files/d?digest=${hex('', 'sha512')}`)).status).toBe(201);
  });

  it('stores a large body by its file, and holds none of it', async () => {
    const { ask, blobs, storage } = await open();
    const paths: (string | undefined)[] = [];
    const put = blobs.put.bind(blobs);
    blobs.put = async (digest, size, source) => {
      paths.push(source.path);
      await put(digest, size, source);
    };
    await ask('PUT', '/files/a', {}, patterned(8_000_000));
    expect(paths).toEqual([expect.stringContaining(storage.spools.directory)]);
    expect(storage.spools.used).toBe(0);
  });

  it('keeps nothing of a body that breaks off', async () => {
    const { ask, get, storage, blobs } = await open();
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from('hel');
      throw new Error('socket hang up');
    }
    expect((await ask('PUT', '/files/a', {}, Readable.from(broken()))).status).toBe(400);
    expect((await get('/files/a')).status).toBe(404);
    expect(await blobs.stat(digestOf('hel'))).toBeUndefined();
    expect(storage.spools.used).toBe(0);
  });

  it('says that the disk is full', async () => {
    const { ask } = await open({}, { maxSpoolBytes: 1000 });
    const full = await ask('PUT', '/files/a', {}, Buffer.alloc(2000));
    expect([full.status, await full.text()]).toEqual([507, 'STORAGE_FULL']);
  });

  it('tells the hook who asks', async () => {
    const callers: Caller[] = [];
    const put: Make = async ({ key }, _content, { caller }) => {
      callers.push(caller);
      return { replace: [{ key, mediaType: 'text/plain' }] };
    };
    const access: Access = {
      knowsCallers: true,
      isOpen: ({ right }) => right === 'read',
      authenticate: async (authorization) =>
        authorization === undefined
          ? { may: () => false }
          : { name: authorization, may: ({ name }) => name !== 'secret' },
      challenge: () => 'Basic',
    };
    const closed = await open({ put }, { definition: { access } });
    expect((await closed.ask('PUT', '/files/a', { authorization: 'ann' }, 'x')).status).toBe(201);
    expect((await closed.ask('PUT', '/files/a', {}, 'x')).status).toBe(401);
    expect(callers.map(({ name }) => name)).toEqual(['ann']);
    expect(callers[0]?.may({ right: 'read', name: 'secret' })).toBe(false);
    const anonymous = await open({ put });
    await anonymous.ask('PUT', '/files/a', { authorization: 'ann' }, 'x');
    expect(callers[1]?.name).toBeUndefined();
    expect(callers[1]?.may({ right: 'write' })).toBe(true);
  });

  it('lists all entries below a prefix for the hook, more than a page of them', async () => {
    const listed: string[] = [];
    const { ask } = await open({
      async link(_resource, _content, { list }) {
        for await (const { key } of list('files/b')) listed.push(key);
        return {};
      },
    });
    const names = Array.from({ length: 260 }, (_, at) => `b${1_000 + at}`);
    for (const name of ['c', ...names.toReversed(), 'a']) await ask('PUT', `/files/${name}`, {}, name);
    await ask('LINK', '/files/x');
    expect(listed).toEqual(names.map((name) => `files/${name}`));
  });

  it('calls what a plugin does wrong its failure', async () => {
    const twice = await open({
      put: async ({ key }) => ({ create: [{ key, mediaType: 'text/plain' }], remove: [key] }),
      link: async ({ key }) => ({ create: [{ key, mediaType: 'text/plain' }] }),
    });
    expect(await (await twice.ask('PUT', '/files/a', {}, 'x')).text()).toBe('PLUGIN');
    expect(await (await twice.ask('LINK', '/files/a')).text()).toBe('PLUGIN');
    const broken = await open({
      async put() {
        throw new TypeError('no such thing');
      },
    });
    expect((await broken.ask('PUT', '/files/a', {}, 'x')).status).toBe(500);
    const unable = await open();
    expect((await unable.ask('LINK', '/files/a')).status).toBe(500);
  });

  it.each(['GET', 'HEAD'])('is never made by %s, whatever the plugin says', async (method) => {
    let steps = 0;
    const make: Make = async () => ((steps += 1), {});
    const changes = { put: { make }, delete: { make }, link: { make } };
    const side = hostedSide({ ...changes, session: { reply: () => ((steps += 1), { status: 200 }) } });
    // Every request is routed as the method says that its header names.
    const route: typeof side.route = (head) =>
      routeHosted(changedHead(head, { method: head.header('x-as') ?? head.method }));
    const { ask, entries } = await openHarness({ kind: 'hosted', side: { ...side, route } });
    for (const [as, path] of [
      ['PUT', '/files/a'],
      ['DELETE', '/files/a'],
      ['LINK', '/files/b?from=files/a'],
      ['POST', '/uploads'],
      ['PATCH', '/uploads/1'],
      ['PUT', '/uploads/1?name=a'],
      ['DELETE', '/uploads/1'],
    ] as const) {
      expect((await ask(method, path, { 'x-as': as })).status, `${as} ${path}`).toBe(405);
    }
    expect(steps).toBe(0);
    expect(await entries.list('test', { prefix: '', limit: 10 })).toEqual([]);
  });

  it('asks policy for what is about to be made', async () => {
    const policy = {
      revision: () => '1',
      evaluate: ({ coordinates }: { coordinates: { name: string } }) =>
        coordinates.name === 'bad'
          ? { action: 'deny', rules: [{ id: 'r', action: 'deny', reason: 'bad' }] }
          : { action: 'allow', rules: [] },
    };
    const { ask, get } = await open(
      {
        put: async ({ key, attributes }) => ({
          create: [
            { key, mediaType: 'text/plain', coordinates: { ecosystem: 'test', name: String(attributes?.['as']) } },
          ],
        }),
      },
      { policy: policy as never },
    );
    expect((await ask('PUT', '/files/a?as=bad', {}, 'x')).status).toBe(403);
    expect((await get('/files/a')).status).toBe(404);
    expect((await ask('PUT', '/files/a?as=good', {}, 'x')).status).toBe(201);
  });

  it('holds a condition until the change is made', async () => {
    const held = new Gate();
    let calls = 0;
    const { ask } = await open({
      async put({ key }) {
        calls += 1;
        if (calls === 1) await held.pass();
        return { replace: [{ key, mediaType: 'text/plain' }] };
      },
    });
    const slow = ask('PUT', '/files/a', { 'if-none-match': '*' }, 'slow');
    await held.reached;
    expect((await ask('PUT', '/files/a', {}, 'quick')).status).toBe(201);
    held.open();
    expect((await slow).status).toBe(412);
  });

  it('forgets a removed file at once, also when it was just read', async () => {
    const { ask, get } = await open();
    await ask('PUT', '/files/a', {}, 'x');
    expect((await get('/files/a')).status).toBe(200);
    expect((await ask('DELETE', '/files/a')).status).toBe(204);
    expect((await get('/files/a')).status).toBe(404);
    expect((await ask('HEAD', '/files/a')).status).toBe(404);
  });
});
