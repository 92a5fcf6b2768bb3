import { createHash } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { digestOf, Gate } from '../../src/testing/index.js';
import { hostedSide, linkFrom, type HostedClassChanges } from './hosted-protocol.js';
import { openHarness, patterned, type Answer, type Harness, type HarnessOptions } from './harness.js';

const DAY = 24 * 3_600_000;

function openRepository(options: HarnessOptions = {}, changes: HostedClassChanges = {}): Promise<Harness> {
  return openHarness({ kind: 'hosted', side: hostedSide(changes), ...options });
}

/** @returns the path of a new session. */
async function begin({ ask }: Harness, query = ''): Promise<string> {
  const opened = await ask('POST', `/uploads${query}`);
  expect(opened).toMatchObject({ status: 202, headers: { Range: '0-0', 'Cache-Control': 'no-store' } });
  return (opened.headers['Location'] as string).replace('https://packages.example.com/test', '');
}

const codeOf = async (answer: Answer): Promise<[number, string]> => [answer.status, await answer.text()];
const at = (start: number, end: number) => ({ 'content-range': `${start}-${end}` });
const sum = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
const files = async ({ directory }: Harness) => await readdir(join(directory, 'sessions'));

/** Waits until what came first is kept. */
function shows({ ask }: Harness, session: string, range: string): Promise<void> {
  return vi.waitFor(async () => expect((await ask('GET', session)).headers['Range']).toBe(range));
}

/** A request whose client sent `text` of ten bytes and closed its half before anybody read them. */
async function closedByHalf(text: string): Promise<IncomingMessage> {
  const server = createServer();
  onTestFinished(() => void server.close());
  const closed = new Promise<IncomingMessage>((resolve) => {
    server.on('request', (request: IncomingMessage) =>
      request.on('error', () => {}).on('close', () => resolve(request)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {}).resume();
  socket.end(`PATCH / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n${text}`);
  return await closed;
}

/** A body that gives `first`, and then what `end` says. */
function body(first: string, end: () => Promise<void>): Readable {
  return Readable.from(
    (async function* parts() {
      yield Buffer.from(first);
      await end();
    })(),
    { objectMode: false },
  );
}

const breakOff = async (): Promise<void> => {
  throw new Error('socket hang up');
};

describe('an upload in several requests', () => {
  it('comes together from its parts, and is gone when it is complete', async () => {
    const harness = await openRepository();
    const { ask, get, storage } = harness;
    const session = await begin(harness);
    const bytes = patterned(300_000);
    expect(await ask('PATCH', session, at(0, 99_999), bytes.subarray(0, 100_000))).toMatchObject({
      status: 202,
      headers: { Range: '0-99999' },
    });
    expect((await ask('PATCH', session, {}, bytes.subarray(100_000, 200_000))).headers['Range']).toBe('0-199999');
    expect(await ask('GET', session)).toMatchObject({ status: 204, headers: { Range: '0-199999' } });
    const last = await ask(
      'PUT',
      `${session}?name=a&digest=${sum(bytes)}`,
      at(200_000, 299_999),
      bytes.subarray(200_000),
    );
    expect(last).toMatchObject({ status: 201, headers: { ETag: `"${digestOf(bytes)}"` } });
    expect((await (await get('/files/a')).bytes()).equals(bytes)).toBe(true);
    expect(await codeOf(await ask('GET', session))).toEqual([404, 'SESSION_UNKNOWN']);
    expect(await codeOf(await ask('PATCH', session, {}, 'more'))).toEqual([404, 'SESSION_UNKNOWN']);
    expect(await files(harness)).toEqual([]);
    expect([storage.sessions.used, storage.spools.used]).toEqual([0, 0]);
  });

  it('can be empty, or come with the last request alone', async () => {
    const harness = await openRepository();
    const { ask, get } = harness;
    expect((await ask('PUT', `${await begin(harness)}?name=empty&digest=${sum('')}`)).status).toBe(201);
    expect((await get('/files/empty')).headers['Content-Length']).toBe('0');
    expect((await ask('PUT', `${await begin(harness)}?name=whole`, {}, 'whole')).status).toBe(201);
    expect(await (await get('/files/whole')).text()).toBe('whole');
  });

  it('gives the hook the whole of it', async () => {
    const harness = await openRepository(
      {},
      {
        put: {
          make: async ({ key }, content) => ({
            create: [
              { key, mediaType: 'text/plain' },
              { key: `${key}.again`, bytes: Buffer.from(await content.bytes(100)).reverse(), mediaType: 'text/plain' },
            ],
          }),
        },
      },
    );
    const session = await begin(harness);
    await harness.ask('PATCH', session, {}, 'abc');
    await harness.ask('PUT', `${session}?name=a`, {}, 'def');
    expect(await (await harness.get('/files/a')).text()).toBe('abcdef');
    expect(await (await harness.get('/files/a.again')).text()).toBe('fedcba');
  });

  it('refuses what does not begin where it ends, and says where that is', async () => {
    const harness = await openRepository();
    const { ask } = harness;
    const session = await begin(harness);
    await ask('PATCH', session, at(0, 4), 'hello');
    for (const range of [at(0, 4), at(4, 8), at(6, 10)]) {
      const refused = await ask('PATCH', session, range, 'world');
      expect(refused).toMatchObject({
        status: 416,
        headers: { Range: '0-4', Location: expect.stringContaining(session) },
      });
      expect(await refused.text()).toBe('RANGE_NOT_SATISFIABLE');
    }
    expect((await ask('PUT', `${session}?name=a`, at(6, 10), 'world')).status).toBe(416);
    expect((await ask('GET', session)).headers['Range']).toBe('0-4');
    expect((await ask('PUT', `${session}?name=a&digest=${sum('helloworld')}`, at(5, 9), 'world')).status).toBe(201);
  });

  it('refuses a part that is not as long as it says, and keeps nothing of it', async () => {
    const harness = await openRepository();
    const { ask } = harness;
    const session = await begin(harness);
    await ask('PATCH', session, {}, 'hello');
    for (const [headers, part] of [
      [at(5, 9), 'toolong'],
      [at(5, 9), 'few'],
      [{ ...at(5, 9), 'content-length': '3' }, 'few'],
      [{ 'content-length': '4' }, 'world'],
    ] as const) {
      expect(await codeOf(await ask('PATCH', session, headers, part))).toEqual([400, 'SIZE_MISMATCH']);
    }
    expect((await ask('PUT', `${session}?name=a&digest=${sum('helloworld')}`, {}, 'world')).status).toBe(201);
  });

  it('keeps what came before a body broke off, so that the client can go on', async () => {
    const harness = await openRepository();
    const { ask, storage } = harness;
    const session = await begin(harness);
    expect(await codeOf(await ask('PATCH', session, {}, body('hel', breakOff)))).toEqual([400, 'UPLOAD_BROKE_OFF']);
    expect((await ask('GET', session)).headers['Range']).toBe('0-2');
    expect((await ask('PUT', `${session}?name=a`, {}, body('lo', breakOff))).status).toBe(400);
    expect((await ask('GET', session)).headers['Range']).toBe('0-4');
    expect((await ask('PUT', `${session}?name=a&digest=${sum('hello!')}`, {}, '!')).status).toBe(201);
    expect(storage.sessions.used).toBe(0);
  });

  it('keeps what has come, but was not read yet, when the client closes its half', async () => {
    const harness = await openRepository();
    const session = await begin(harness);
    const headers = { 'content-length': '10' };
    const answer = await harness.ask('PATCH', session, headers, await closedByHalf('hello'));
    expect(await codeOf(answer)).toEqual([400, 'UPLOAD_BROKE_OFF']);
    expect((await harness.ask('GET', session)).headers['Range']).toBe('0-4');
  });

  it('does not let two requests add at once', async () => {
    const harness = await openRepository();
    const { ask } = harness;
    const session = await begin(harness);
    const gate = new Gate();
    const slow = ask(
      'PATCH',
      session,
      {},
      body('hello', () => gate.pass()),
    );
    await shows(harness, session, '0-4');
    expect(await codeOf(await ask('PATCH', session, {}, 'mixed'))).toEqual([409, 'SESSION_BUSY']);
    expect(await codeOf(await ask('PUT', `${session}?name=a`))).toEqual([409, 'SESSION_BUSY']);
    expect((await ask('GET', session)).headers['Range']).toBe('0-4');
    gate.open();
    expect((await slow).status).toBe(202);
    expect((await ask('PUT', `${session}?name=a&digest=${sum('hello')}`)).status).toBe(201);
  });

  it('can be cancelled, also while bytes come', async () => {
    const harness = await openRepository();
    const { ask, storage } = harness;
    const session = await begin(harness);
    const gate = new Gate();
    const slow = ask(
      'PATCH',
      session,
      {},
      Readable.from(
        (async function* parts() {
          yield Buffer.from('hello');
          await gate.pass();
          yield Buffer.from('world');
        })(),
      ),
    );
    await shows(harness, session, '0-4');
    expect((await ask('DELETE', session)).status).toBe(204);
    expect((await ask('DELETE', session)).status).toBe(404);
    gate.open();
    expect(await codeOf(await slow)).toEqual([404, 'SESSION_UNKNOWN']);
    expect([await files(harness), storage.sessions.used]).toEqual([[], 0]);
  });

  it('ends with a wrong digest, and leaves no blob', async () => {
    const harness = await openRepository();
    const { ask, blobs, storage } = harness;
    const session = await begin(harness);
    await ask('PATCH', session, {}, 'hello');
    expect(await codeOf(await ask('PUT', `${session}?name=a&digest=${sum('other')}`))).toEqual([
      400,
      'DIGEST_MISMATCH',
    ]);
    expect(await blobs.stat(digestOf('hello'))).toBeUndefined();
    expect((await ask('GET', session)).status).toBe(404);
    expect([await files(harness), await readdir(storage.spools.directory)]).toEqual([[], []]);
    expect(storage.sessions.used).toBe(0);
  });

  it('belongs to its scope and its repository', async () => {
    const harness = await openRepository();
    const session = await begin(harness, '?scope=mine');
    for (const [method, path] of [
      ['GET', session],
      ['PATCH', `${session}?scope=other`],
      ['PUT', `${session}?scope=other&name=a`],
      ['DELETE', `${session}?scope=other`],
      ['GET', '/uploads/nothing'],
      ['GET', `/uploads/${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}`],
      ['GET', '/uploads/..%2f..%2fetc%2fpasswd'],
    ] as const) {
      const { status } = await harness.ask(method, path);
      expect([path, status]).toEqual([path, path.includes('..') ? 400 : 404]);
    }
    expect((await harness.ask('GET', `${session}?scope=mine`)).status).toBe(204);
    const other = await openRepository({ directory: harness.directory, definition: { name: 'other' } });
    expect((await other.ask('GET', `${session}?scope=mine`)).status).toBe(404);
  });

  it('survives the end of the process, whatever was under way', async () => {
    const before = await openRepository();
    const session = await begin(before);
    await before.ask('PATCH', session, {}, 'hello');
    const gate = new Gate();
    void before.ask(
      'PATCH',
      session,
      {},
      body(' wor', () => gate.pass()),
    );
    await gate.reached;
    const after = await openRepository({ directory: before.directory, shared: before });
    expect((await after.ask('GET', session)).headers['Range']).toBe('0-8');
    expect((await after.ask('PUT', `${session}?name=a&digest=${sum('hello world')}`, at(9, 10), 'ld')).status).toBe(
      201,
    );
    expect(await (await after.get('/files/a')).text()).toBe('hello world');
  });

  it('is bounded in bytes, each and all together', async () => {
    const harness = await openRepository({ maxSpoolBytes: 1_500_000 });
    const { ask, storage } = harness;
    const [one, two] = [await begin(harness), await begin(harness)];
    expect((await ask('PATCH', one, {}, Buffer.alloc(900_000))).status).toBe(202);
    expect(await codeOf(await ask('PATCH', one, {}, Buffer.alloc(100_001)))).toEqual([413, 'TOO_LARGE']);
    expect((await ask('PATCH', one, { 'content-length': '100001' }, 'x')).status).toBe(413);
    expect((await ask('GET', one)).headers['Range']).toBe('0-899999');
    expect(await codeOf(await ask('PATCH', two, {}, Buffer.alloc(900_000)))).toEqual([507, 'STORAGE_FULL']);
    expect((await ask('DELETE', one)).status).toBe(204);
    expect((await ask('PATCH', two, {}, Buffer.alloc(900_000))).status).toBe(202);
    expect((await ask('DELETE', two)).status).toBe(204);
    expect(storage.sessions.used).toBe(0);
  });

  it('expires when it is left alone for a day', async () => {
    const harness = await openRepository();
    const { ask, clock, storage } = harness;
    const [used, left, swept] = [await begin(harness), await begin(harness), await begin(harness)];
    await ask('PATCH', left, {}, 'hello');
    clock.advance(DAY / 2);
    await ask('PATCH', used, {}, 'hello');
    clock.advance(DAY / 2 + 1);
    expect((await ask('GET', left)).status).toBe(404);
    expect((await ask('GET', used)).status).toBe(204);
    expect(await files(harness)).toContain(`${swept.slice('/uploads/'.length)}.json`);
    await begin(harness);
    expect(await files(harness)).not.toContain(`${swept.slice('/uploads/'.length)}.json`);
    expect(storage.sessions.used).toBe(5);
  });

  it('expires at the start, too, and takes nothing for a session that is none', async () => {
    const before = await openRepository();
    await begin(before);
    const torn = '00000000-0000-4000-8000-000000000000';
    await writeFile(join(before.directory, 'sessions', `${torn}.json`), '{"version":1,"repo');
    await writeFile(join(before.directory, 'sessions', `${torn}.bytes`), 'x');
    const after = await openRepository({ directory: before.directory });
    expect((await after.ask('GET', `/uploads/${torn}`)).status).toBe(404);
    expect(after.storage.sessions.used).toBe(0);
    expect((await files(after)).length).toBe(4);
  });

  it('is not opened where its bytes can be linked', async () => {
    const harness = await openRepository({}, { link: { make: linkFrom } });
    const { ask, get } = harness;
    await ask('PUT', '/files/a', {}, 'hello');
    expect((await ask('POST', '/uploads?name=b&from=files/a')).status).toBe(201);
    expect(await (await get('/files/b')).text()).toBe('hello');
    await begin(harness, '?name=c&from=files/none');
  });

  it('is refused by a proxy', async () => {
    const proxy = await openHarness({ side: hostedSide() });
    expect((await proxy.ask('POST', '/uploads')).status).toBe(405);
  });
});
