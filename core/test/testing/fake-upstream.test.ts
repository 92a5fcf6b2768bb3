import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeUpstream, type Fixture, NodeTransport } from '@entrepot/core/testing';
import type { TransportReply } from '@entrepot/core';

let upstream: FakeUpstream;
let transport: NodeTransport;

beforeEach(async () => {
  upstream = await FakeUpstream.start();
  transport = new NodeTransport();
});

afterEach(async () => {
  await transport.dispose();
  await upstream.close();
});

function get(
  path: string,
  headers: Record<string, string> = {},
  method: 'GET' | 'HEAD' = 'GET',
): Promise<TransportReply> {
  const url = new URL(upstream.url + path);
  return transport.send({ method, url, headers, allowPrivate: true, signal: new AbortController().signal });
}

async function read(reply: TransportReply): Promise<string> {
  return Buffer.concat(await reply.body.toArray()).toString();
}

const BODY = 'abcdefghij'.repeat(10_000);

describe('fixtures', () => {
  it('serves a body with its headers and logs the request', async () => {
    upstream.serve('/a%2fb', { body: BODY, mediaType: 'text/plain', headers: { 'X-Kept': ['1', '2'] } });
    const reply = await get('/a%2fb?x=1', { cookie: 'c' });
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({ 'content-type': 'text/plain', 'x-kept': '1, 2', 'content-length': '100000' });
    expect(reply.headers).not.toHaveProperty('date');
    expect(await read(reply)).toBe(BODY);
    expect(upstream.requests).toMatchObject([{ method: 'GET', path: '/a%2fb?x=1', headers: { cookie: 'c' } }]);
    expect([upstream.count('/a%2fb'), upstream.count('/a%2fb?x=1'), upstream.count('/a%2fb?x=2')]).toEqual([1, 1, 0]);
    expect(await upstream.requests[0]?.done).toBe('sent');
  });

  it('answers 404 for what it does not have, and again after removal', async () => {
    expect((await get('/none')).status).toBe(404);
    upstream.serve('/some', {});
    expect((await get('/some')).status).toBe(200);
    upstream.remove('/some');
    expect((await get('/some')).status).toBe(404);
  });

  it('sends the length but no body for HEAD', async () => {
    upstream.serve('/a', { body: BODY });
    const reply = await get('/a', {}, 'HEAD');
    expect(reply.headers['content-length']).toBe('100000');
    expect(await read(reply)).toBe('');
  });

  it('sends no length when chunked', async () => {
    upstream.serve('/a', { body: BODY, chunked: true });
    const reply = await get('/a');
    expect(reply.headers).not.toHaveProperty('content-length');
    expect(await read(reply)).toBe(BODY);
  });

  const lastModified = 'Thu, 01 Jan 2026 00:00:00 GMT';
  it.each<[string, Fixture, Record<string, string>, number]>([
    ['the same tag', { etag: '"a"' }, { 'if-none-match': '"b", W/"a"' }, 304],
    ['any tag', { etag: '"a"' }, { 'if-none-match': '*' }, 304],
    ['another tag', { etag: '"a"' }, { 'if-none-match': '"b"' }, 200],
    [
      'another tag and the same date',
      { etag: '"a"', lastModified },
      { 'if-none-match': '"b"', 'if-modified-since': lastModified },
      200,
    ],
    ['the same date', { lastModified }, { 'if-modified-since': lastModified }, 304],
    ['an older date', { lastModified }, { 'if-modified-since': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 200],
    ['no validators', {}, { 'if-none-match': '"a"', 'if-modified-since': lastModified }, 200],
  ])('answers a conditional request by %s', async (_name, fixture, headers, status) => {
    upstream.serve('/a', { body: BODY, ...fixture });
    const reply = await get('/a', headers);
    expect(reply.status).toBe(status);
    expect(await read(reply)).toBe(status === 304 ? '' : BODY);
  });

  it.each([
    ['bytes=0-3', {}, 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', {}, 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', {}, 206, '89', 'bytes 8-9/10'],
    ['bytes=8-99', {}, 206, '89', 'bytes 8-9/10'],
    ['bytes=10-', {}, 416, '', 'bytes */10'],
    ['bytes=0-1,3-4', {}, 200, '0123456789', undefined],
    ['bytes=0-3', { 'if-range': '"a"' }, 206, '0123', 'bytes 0-3/10'],
    ['bytes=0-3', { 'if-range': '"b"' }, 200, '0123456789', undefined],
  ])('answers the range %s with %o', async (range, more, status, body, contentRange) => {
    upstream.serve('/a', { body: '0123456789', ranges: true, etag: '"a"' });
    const reply = await get('/a', { range, ...more });
    expect(reply.status).toBe(status);
    expect(reply.headers['content-range']).toBe(contentRange);
    expect(await read(reply)).toBe(body);
  });

  it('hands everything to a handler', async () => {
    upstream.handle('/a', (request, response) => {
      response.writeHead(201).end(`${request.method} ${request.path} ${request.body.toString()}`);
    });
    const url = new URL(`${upstream.url}/a`);
    const { signal } = new AbortController();
    const reply = await transport.send({
      method: 'POST',
      url,
      headers: {},
      body: Buffer.from('x'),
      allowPrivate: true,
      signal,
    });
    expect(reply.status).toBe(201);
    expect(await read(reply)).toBe('POST /a x');
  });
});

describe('faults', () => {
  it.each<[string, Fixture['fault'] & object, number | undefined]>([
    ['a truncated body', { kind: 'truncate', after: 10 }, 10],
    ['a chunked body that ends early', { kind: 'end-chunked-early', after: 10 }, 10],
    ['a length that is too large', { kind: 'wrong-length', length: 200_000 }, 100_000],
    ['a reset', { kind: 'reset', after: 10 }, undefined],
  ])('breaks off: %s', async (_name, fault, received) => {
    upstream.serve('/a', { body: BODY, fault });
    const reply = await get('/a');
    expect(reply.status).toBe(200);
    let length = 0;
    const reading = (async () => {
      for await (const chunk of reply.body) length += (chunk as Buffer).length;
    })();
    await expect(reading).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    if (received !== undefined) expect(length).toBe(received);
    expect(await upstream.requests[0]?.done).toBe('cut');
  });

  it('ends a body at a length that is too small', async () => {
    upstream.serve('/a', { body: BODY, fault: { kind: 'wrong-length', length: 10 } });
    expect(await read(await get('/a'))).toBe('abcdefghij');
  });

  it('resets before the head', async () => {
    upstream.serve('/a', { fault: { kind: 'reset-before-head' } });
    await expect(get('/a')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    expect(upstream.count('/a')).toBe(1);
  });

  it('stalls until the reader goes', async () => {
    upstream.serve('/a', { body: BODY, fault: { kind: 'stall', after: 10 } });
    const reply = await get('/a');
    for await (const chunk of reply.body) {
      expect(String(chunk)).toBe('abcdefghij');
      break;
    }
    expect(await upstream.requests[0]?.done).toBe('cut');
  });

  it('sends bytes without end until the reader goes', async () => {
    upstream.serve('/a', { body: BODY, fault: { kind: 'endless' } });
    let length = 0;
    for await (const chunk of (await get('/a')).body) {
      length += (chunk as Buffer).length;
      if (length > 1_000_000) break;
    }
    expect(await upstream.requests[0]?.done).toBe('cut');
  });

  it('sends wrong bytes of the same size', async () => {
    upstream.serve('/a', { body: BODY, fault: { kind: 'wrong-bytes' } });
    const body = Buffer.concat(await (await get('/a')).body.toArray());
    expect(body.length).toBe(BODY.length);
    expect(body.includes('a')).toBe(false);
  });

  it('sends a captive portal', async () => {
    upstream.serve('/a', { body: BODY, mediaType: 'application/json', fault: { kind: 'captive-portal' } });
    const reply = await get('/a');
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(await read(reply)).toContain('<form>');
  });

  it('sends gzip unasked, which the transport leaves alone', async () => {
    upstream.serve('/a', { body: BODY, fault: { kind: 'gzip' } });
    const reply = await get('/a');
    expect(reply.headers['content-encoding']).toBe('gzip');
    const body = Buffer.concat(await reply.body.toArray());
    expect(reply.headers['content-length']).toBe(String(body.length));
    expect(gunzipSync(body).toString()).toBe(BODY);
  });

  it('redirects to itself', async () => {
    upstream.serve('/a', { fault: { kind: 'redirect-loop' } });
    expect(await get('/a?b')).toMatchObject({ status: 302, headers: { location: '/a?b' } });
  });

  it('fails the first requests only, when asked to', async () => {
    upstream.serve('/a', { body: 'fine', fault: { kind: 'status', status: 429, retryAfter: '7', times: 2 } });
    const replies = [await get('/a'), await get('/a'), await get('/a')];
    expect(replies.map(({ status }) => status)).toEqual([429, 429, 200]);
    expect(replies[0]?.headers['retry-after']).toBe('7');
  });
});

describe('gates and outages', () => {
  it('holds a reply before its head', async () => {
    upstream.serve('/a', { body: 'late' });
    const gate = upstream.hold('/a');
    let answered = false;
    const reply = get('/a').then((found) => {
      answered = true;
      return found;
    });
    await gate.reached;
    expect([answered, gate.waiting, upstream.count('/a')]).toEqual([false, 1, 1]);
    gate.open();
    expect(await read(await reply)).toBe('late');
    expect(await read(await get('/a'))).toBe('late');
  });

  it('holds a reply after so many bytes', async () => {
    upstream.serve('/a', { body: 'early and late' });
    const gate = upstream.hold('/a', { afterBytes: 5 });
    const { body } = await get('/a');
    await gate.reached;
    const received: string[] = [];
    for await (const chunk of body) {
      received.push(String(chunk));
      gate.open();
    }
    expect(received).toEqual(['early', ' and late']);
  });

  it('turns connections away while offline, on the same port', async () => {
    upstream.serve('/a', { body: 'x', fault: { kind: 'stall', after: 0 } });
    const { url } = upstream;
    const reply = await get('/a');
    upstream.goOffline();
    await assert.rejects(read(reply));
    await expect(get('/a')).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    expect([upstream.refused, upstream.count('/a')]).toEqual([1, 1]);
    upstream.goOnline();
    expect(upstream.url).toBe(url);
    expect((await get('/none')).status).toBe(404);
  });

  it('ends held replies when it is closed', async () => {
    const gate = upstream.hold('/a');
    const reply = get('/a');
    await gate.reached;
    await upstream.close();
    await expect(reply).rejects.toMatchObject({ kind: 'upstream-unavailable' });
    await upstream.close();
  });
});
