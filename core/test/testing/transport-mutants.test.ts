import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { describe } from 'vitest';
import { EntrepotError, type Transport, type TransportRequest } from '@entrepot/core';
import { NodeTransport, readStream, transportSuite, type TransportWaits } from '@entrepot/core/testing';
import { type Mutant, mutate, testMutants } from './mutants.js';

type Factory = (waits: TransportWaits) => Transport;
type Send = Transport['send'];

/** A transport whose `send` is `wrong`, on top of a right one. */
function mutant(name: string, caughtBy: readonly string[], wrong: (send: Send) => Send): Mutant<Factory> {
  return {
    name,
    caughtBy,
    factory(waits) {
      const right = new NodeTransport(waits);
      return mutate<Transport>(right, () => ({ send: wrong((request) => right.send(request)) }));
    },
  };
}

/** Changes every request before it is sent. */
function changing(change: (request: TransportRequest) => TransportRequest): (send: Send) => Send {
  return (send) => (request) => send(change(request));
}

function withoutErrors(body: Readable): Readable {
  return Readable.from(
    (async function* () {
      try {
        yield* body;
      } catch {
        // The wrong thing to do.
      }
    })(),
    { objectMode: false },
  );
}

const mutants: Mutant<Factory>[] = [
  mutant(
    'drops the last byte',
    ['gives the bytes of a body', 'sends the body of a POST'],
    (send) => async (request) => {
      const reply = await send(request);
      const chunks = await reply.body.toArray();
      return { ...reply, body: Readable.from([Buffer.concat(chunks).subarray(0, -1)]) };
    },
  ),
  mutant('reads bodies as text', ['gives the bytes of a body'], (send) => async (request) => {
    const reply = await send(request);
    return { ...reply, body: Readable.from([Buffer.from((await readStream(reply.body)).toString())]) };
  }),
  mutant(
    'gives up what was not read when the connection ends',
    ['gives a body that is read slowly, of an upstream that closes'],
    (send) => async (request) => {
      const reply = await send(request);
      if (reply.headers['connection'] !== 'close') return reply;
      const parts: Buffer[] = [];
      for await (const part of reply.body as AsyncIterable<Buffer>) parts.push(part);
      const body = Readable.from([Buffer.concat(parts).subarray(0, 64 * 1024)]);
      return { ...reply, body };
    },
  ),
  mutant('asks for gzip and undoes it', ['undoes no content coding, and asks for none'], (send) => async (request) => {
    const reply = await send({ ...request, headers: { ...request.headers, 'accept-encoding': 'gzip' } });
    const { 'content-encoding': coding, ...headers } = reply.headers;
    if (coding !== 'gzip') return reply;
    return { ...reply, headers, body: Readable.from([gunzipSync(await readStream(reply.body))]) };
  }),
  mutant(
    'throws for an error status',
    ['hands over every status as a reply', 'follows no redirect'],
    (send) => async (request) => {
      const reply = await send(request);
      if (reply.status >= 300) throw new EntrepotError('upstream-unavailable', `status ${reply.status}`);
      return reply;
    },
  ),
  mutant('follows redirects', ['follows no redirect'], (send) => async (request) => {
    const reply = await send(request);
    const location = reply.headers['location'];
    return location === undefined ? reply : send({ ...request, url: new URL(location, request.url) });
  }),
  mutant(
    'keeps the last of several headers',
    ['gives headers in lower case, those of one name joined'],
    (send) => async (request) => {
      const reply = await send(request);
      const last = Object.entries(reply.headers).map(([name, value]) => [name, value.split(', ').at(-1) ?? '']);
      return { ...reply, headers: Object.fromEntries(last) as Record<string, string> };
    },
  ),
  mutant(
    'adds credentials of its own',
    ['sends the headers that it is given, and no credentials'],
    changing((request) => ({
      ...request,
      headers: { ...request.headers, authorization: 'Bearer mine' },
    })),
  ),
  mutant(
    'drops headers that it does not know',
    ['sends the headers that it is given'],
    changing((request) => ({ ...request, headers: {} })),
  ),
  mutant(
    'decodes paths',
    ['sends paths and queries as they are'],
    changing((request) => {
      const url = new URL(request.url);
      url.pathname = decodeURIComponent(url.pathname);
      return { ...request, url };
    }),
  ),
  mutant(
    'sends GET for HEAD',
    ['sends HEAD and reads no body'],
    changing((request) => ({
      ...request,
      method: request.method === 'HEAD' ? 'GET' : request.method,
    })),
  ),
  mutant(
    'sends no body',
    ['sends the body of a POST'],
    changing(({ body: _lost, ...request }) => request),
  ),
  mutant('runs one exchange at a time', ['runs many exchanges at once'], (send) => {
    let last: Promise<unknown> = Promise.resolve();
    return async (request) => {
      const reply = last.then(() => send(request));
      last = reply.catch(() => {});
      return reply;
    };
  }),
  mutant(
    'takes every end for a good one',
    [
      'fails a body that is cut short',
      'fails a body that is cut before its first byte',
      'fails a body that ends without its last chunk',
      'fails a body that is shorter',
      'fails a body that is reset',
      'fails the body when its signal is aborted',
      'gives up a body that stands still, with 504',
    ],
    (send) => async (request) => {
      const reply = await send(request);
      return { ...reply, body: withoutErrors(reply.body) };
    },
  ),
  mutant(
    'throws the errors of its library',
    [
      'fails when the connection ends before the head',
      'fails when nobody listens',
      'fails when the reply is not HTTP',
      'refuses 127.0.0.1',
    ],
    (send) => (request) => send(request).catch(() => Promise.reject(new Error('ECONNRESET'))),
  ),
  mutant('prints whole URLs', ['names no secret of a URL in its errors'], (send) => async (request) => {
    try {
      return await send(request);
    } catch (error) {
      const { kind, status } = error as EntrepotError;
      throw new EntrepotError(kind, `${request.url.href} failed`, { status });
    }
  }),
  mutant(
    'ignores its signal',
    [
      'sends nothing for a signal that is aborted already',
      'gives up waiting for the head',
      'fails the body when its signal is aborted',
    ],
    changing((request) => ({ ...request, signal: new AbortController().signal })),
  ),
  mutant(
    'reads on when the body is destroyed',
    ['lets go of the upstream when the body is destroyed'],
    (send) => async (request) => {
      const reply = await send(request);
      let left = 1_000_000;
      const detached = new Readable({ read() {} });
      reply.body.on('data', (chunk: Buffer) => {
        left -= chunk.length;
        if (!detached.destroyed) detached.push(chunk);
        if (left < 0) reply.body.pause();
      });
      reply.body.on('end', () => detached.push(null));
      reply.body.on('error', (error) => detached.destroy(error));
      return { ...reply, body: detached };
    },
  ),
  mutant(
    'goes anywhere',
    [
      'refuses 127.0.0.1',
      'refuses localhost',
      'refuses [::1]',
      'refuses [::ffff:127.0.0.1]',
      'refuses 2130706433',
      'refuses 0.0.0.0',
      'refuses 127.1',
      'refuses [::] ',
      'refuses a private address also when',
    ],
    changing((request) => ({ ...request, allowPrivate: true })),
  ),
  mutant(
    'goes anywhere from a network of its own',
    [
      'refuses 127.0.0.1 where zone private',
      'refuses 169.254.169.254 where zone private',
      'refuses 10.1.2.3 where zone loopback',
      'refuses 169.254.169.254 where zone other',
      'refuses a private address also when',
    ],
    changing((request) => ({ ...request, allowPrivate: request.allowPrivate || request.alsoZone !== undefined })),
  ),
  mutant('does not say where a reply is from', ['reaches the zone that is allowed'], (send) => async (request) => ({
    ...(await send(request)),
    zone: undefined,
  })),
  mutant(
    'only looks at names',
    ['refuses 127.0.0.1', 'refuses 10.1.2.3', 'refuses 1', 'refuses 2', 'refuses [f', 'refuses [::ffff'],
    (send) => (request) => {
      if (request.allowPrivate || request.url.hostname === 'localhost') return send(request);
      throw new EntrepotError('upstream-unavailable', `${request.url.hostname} did not answer`);
    },
  ),
  mutant(
    'waits for ever',
    ['gives up a head that does not come, with 504', 'gives up a body that stands still, with 504'],
    () => {
      const patient = new NodeTransport();
      return (request) => patient.send(request);
    },
  ),
];

describe('transport suite', () => {
  testMutants(transportSuite, (waits) => new NodeTransport(waits), { timeouts: true }, mutants);
});
