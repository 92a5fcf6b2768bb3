import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { LogFields, Logger } from '@entrepot/core';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import type { ExchangeRecord } from '../../src/http/exchange.js';
import { HIT, reply, repository, serve, type Handler } from './support.js';

function get(url: string, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { method, agent: false }, resolve).on('error', reject).end();
  });
}

/** Collects one record, and waits for it. */
function recorder() {
  const records: ExchangeRecord[] = [];
  let wake: (() => void) | undefined;
  return {
    observe(record: ExchangeRecord) {
      records.push({ ...record });
      wake?.();
    },
    async next(): Promise<ExchangeRecord> {
      if (records.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return records.shift() as ExchangeRecord;
    },
  };
}

async function start(handler: Handler, logger: Logger = silentLogger) {
  const record = recorder();
  const server = await serve([repository('/files', handler)], { observers: [record.observe], logger });
  return { ...server, record };
}

describe('a buffer', () => {
  it('is sent with its length, the headers of the reply and the request id', async () => {
    const server = await start(() => reply(Buffer.from('whole'), { 'Content-Type': 'text/plain', ETag: '"x"' }));

    const answer = await fetch(`${server.url}/files/a`, { headers: { 'X-Request-Id': 'build-17' } });

    expect(await answer.text()).toBe('whole');
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-length': '5',
      'content-type': 'text/plain',
      etag: '"x"',
      'x-request-id': 'build-17',
    });
    expect(await server.record.next()).toMatchObject({
      id: 'build-17',
      method: 'GET',
      path: '/files/a',
      status: 200,
      bytes: 5,
      repository: 'files',
      outcome: HIT,
      aborted: false,
    });
  });

  it('has the reason phrase of the reply', async () => {
    const server = await start(() => ({
      ...reply(Buffer.from('no')),
      status: 403,
      statusMessage: 'Forbidden: held by r',
    }));

    const answer = await get(`${server.url}/files/a`);

    expect([answer.statusCode, answer.statusMessage]).toEqual([403, 'Forbidden: held by r']);
    answer.resume();
  });

  it('replaces a request id that is not sane', async () => {
    const server = await start(() => reply(Buffer.from('x')));

    const answer = await fetch(`${server.url}/files/a`, { headers: { 'X-Request-Id': 'a b'.repeat(100) } });

    expect(answer.headers.get('x-request-id')).toMatch(/^[a-z0-9-]{8,40}$/);
  });
});

describe('no body', () => {
  it.each([
    ['HEAD', 200, { 'Content-Length': '1234' }],
    ['GET', 304, { ETag: '"x"' }],
    ['DELETE', 204, {}],
  ])('%s %d ends at once', async (method, status, headers) => {
    const server = await start(() => reply(undefined, headers, status));

    const answer = await get(`${server.url}/files/a`, method);

    expect(answer.statusCode).toBe(status);
    expect(await text(answer)).toBe('');
    expect(answer.headers['content-length']).toBe((headers as Record<string, string>)['Content-Length']);
  });

  it('closes a stream that is not wanted', async () => {
    const body = Readable.from(['never read']);
    const server = await start(() => reply(body));

    await text(await get(`${server.url}/files/a`, 'HEAD'));

    expect(body.destroyed).toBe(true);
  });
});

describe('a stream', () => {
  const CHUNK = Buffer.alloc(64 * 1024, 7);

  it('arrives whole, and holds back its source while the client reads slowly', async () => {
    let produced = 0;
    const body = new Readable({
      highWaterMark: CHUNK.length,
      read() {
        produced += 1;
        this.push(produced > 640 ? null : CHUNK);
      },
    });
    const server = await start(() => reply(body, { 'Content-Length': String(640 * CHUNK.length) }));

    const answer = await get(`${server.url}/files/a`);
    // The kernel and the two ends buffer some megabytes, not all forty.
    await once(answer, 'readable');
    await new Promise((resolve) => setImmediate(resolve));
    expect(produced).toBeLessThan(400);

    let received = 0;
    for await (const chunk of answer) received += (chunk as Buffer).length;
    expect(received).toBe(640 * CHUNK.length);
    expect(await server.record.next()).toMatchObject({ bytes: received, aborted: false });
  });

  it.each<[string, (first: Buffer) => AsyncGenerator<Buffer>, Record<string, string>, string]>([
    ['fails half-way', failing, { 'Content-Length': '131072' }, 'error'],
    ['fails half-way without a promised length', failing, {}, 'error'],
    ['ends before the promised length', short, { 'Content-Length': '131072' }, 'shorter than promised'],
    ['goes on past the promised length', long, { 'Content-Length': '65537' }, 'longer than promised'],
  ])('that %s breaks the connection and never ends cleanly', async (_what, source, headers, reason) => {
    const warnings: LogFields[] = [];
    const logger = { ...silentLogger, warn: (fields: LogFields) => void warnings.push(fields) };
    const server = await start(() => reply(Readable.from(source(CHUNK)), headers), logger);

    // Before the head is out, or after it: what counts is that it breaks.
    await expect(get(`${server.url}/files/a`).then(text)).rejects.toThrow(/aborted|socket hang up/);
    expect(await server.record.next()).toMatchObject({ status: 200, aborted: true });
    expect(warnings).toMatchObject([{ reason, repository: 'files' }]);
  });

  it('that has failed before it is sent breaks the connection', async () => {
    const body = new Readable({ read() {} });
    body.on('error', () => {});
    body.destroy(new Error('gone'));
    const server = await start(() => reply(body, { 'Content-Length': '5' }));

    await expect(get(`${server.url}/files/a`)).rejects.toThrow('socket hang up');
  });

  it('is closed when the client goes', async () => {
    const body = new Readable({ read() {} });
    body.push(CHUNK);
    const server = await start(() => reply(body, { 'Content-Length': '9999999' }));

    const answer = await get(`${server.url}/files/a`);
    answer.on('error', () => {});
    answer.destroy();

    expect(await server.record.next()).toMatchObject({ aborted: true });
    expect(body.destroyed).toBe(true);
  });
});

it('names the connection of a client, and none of a proxy, which is for all of its clients', async () => {
  const seen: (string | undefined)[] = [];
  const handler: Handler = ({ connection }) => {
    seen.push(connection);
    return reply(Buffer.from('whole'));
  };
  const server = await serve([repository('/files', handler)], { trusted: ['127.0.0.1'] });
  await (await fetch(`${server.url}/files/a`)).text();
  await (await fetch(`${server.url}/files/a`, { headers: { 'X-Forwarded-For': '10.0.0.1' } })).text();
  expect(seen).toEqual([expect.stringMatching(/^127\.0\.0\.1 \d+$/), undefined]);
});

describe('a client that goes while it waits', () => {
  it('aborts the request, and what comes for it later is closed', async () => {
    const body = Readable.from(['late']);
    let begun: () => void;
    const waiting = new Promise<void>((resolve) => (begun = resolve));
    const server = await start(async ({ signal }) => {
      begun();
      await once(signal, 'abort');
      return reply(body);
    });
    const request = httpRequest(`${server.url}/files/a`, { agent: false }).on('error', () => {});
    request.end();
    await waiting;

    request.destroy();
    await server.record.next();
    await new Promise((resolve) => setImmediate(resolve));

    expect(body.destroyed).toBe(true);
  });

  it('is known to who asks afterwards', async () => {
    let signal: AbortSignal | undefined;
    const server = await start((request) => {
      signal = request.signal;
      return reply(Buffer.from('x'));
    });

    await (await fetch(`${server.url}/files/a`)).text();
    await server.record.next();

    expect(signal?.aborted).toBe(false);
  });
});

describe('a request body', () => {
  it('is read by the repository', async () => {
    const server = await start(async ({ body }) => reply(Buffer.from(`got ${await text(body)}`)));

    const answer = await fetch(`${server.url}/files/a`, { method: 'PUT', body: 'uploaded' });

    expect(await answer.text()).toBe('got uploaded');
  });

  it('may be left unread', async () => {
    const server = await start(() => reply(Buffer.from('no'), {}, 403));

    const answer = await fetch(`${server.url}/files/a`, { method: 'PUT', body: Buffer.alloc(1024 * 1024) });

    expect([answer.status, await answer.text()]).toEqual([403, 'no']);
  });
});

describe('a failure outside the pipeline', () => {
  it('is answered without its message, which goes to the log under the request id', async () => {
    const errors: LogFields[] = [];
    const logger = { ...silentLogger, error: (fields: LogFields) => void errors.push(fields) };
    const server = await start(() => {
      throw new Error('password=hunter2');
    }, logger);

    const answer = await fetch(`${server.url}/files/a`, { headers: { 'X-Request-Id': 'r1' } });

    expect([answer.status, await answer.text()]).toEqual([500, 'Internal error; the log has it under request r1\n']);
    expect(errors).toMatchObject([{ id: 'r1', err: { message: 'password=hunter2' } }]);
  });

  it('closes the body when a header cannot be sent', async () => {
    const body = Readable.from(['x']);
    const server = await start(() => reply(body, { 'X-Name:': 'a' }));

    const answer = await fetch(`${server.url}/files/a`);

    expect(answer.status).toBe(500);
    expect(answer.headers.get('x-name')).toBeNull();
    expect(body.destroyed).toBe(true);
  });
});

async function* failing(first: Buffer): AsyncGenerator<Buffer> {
  yield first;
  throw new Error('digest does not match');
}

async function* short(first: Buffer): AsyncGenerator<Buffer> {
  yield first;
}

async function* long(first: Buffer): AsyncGenerator<Buffer> {
  yield first;
  yield first;
}
