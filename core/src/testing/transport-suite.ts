import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { AddressZone, Transport, TransportReply, TransportRequest } from '../api/transport.js';
import { FakeUpstream, type Fault } from './fake-upstream.js';
import type { TransportWaits } from './node-transport.js';
import { readStream, sampleBytes } from './sample-bytes.js';
import { assertFails, type Checks, defineChecks, failureOf, type SuiteRunner } from './suite.js';

/** Abilities of the factory. Each is off by default. */
export interface TransportCapabilities {
  /** Whether the factory honours the waits that it is given. */
  readonly timeouts?: boolean;
}

interface OpenFixture {
  readonly upstream: FakeUpstream;
  readonly transport: Transport;
  send(path: string, more?: Partial<TransportRequest>): Promise<TransportReply>;
  /** A transport with other waits. */
  open(waits: TransportWaits): Promise<Transport>;
  close(): Promise<void>;
}

const SHORT = 60;

/** Checks the contract of `Transport` on a `FakeUpstream`. `factory` gives a new transport for each call. */
export function transportSuite(
  runner: SuiteRunner,
  factory: (waits: TransportWaits) => Promise<Transport> | Transport,
  { timeouts = false }: TransportCapabilities = {},
): void {
  defineChecks(
    runner,
    'transport',
    () => openFixture(factory),
    (fixture) => fixture.close(),
    (checks) => {
      defineExchange(checks);
      defineFailures(checks);
      defineAborts(checks);
      defineAddresses(checks);
      defineTimeouts(checks, timeouts);
    },
  );
}

function defineExchange({ check }: Checks<OpenFixture>): void {
  check('gives the bytes of a body, with and without a length', async ({ upstream, send }) => {
    const body = sampleBytes(3 * 1024 * 1024 + 1);
    upstream.serve('/sized', { body });
    upstream.serve('/chunked', { body, chunked: true });
    upstream.serve('/empty', {});
    const sized = await send('/sized');
    assert.equal(sized.headers['content-length'], String(body.length));
    assert.ok((await readStream(sized.body)).equals(body), 'expected the bytes as they were served');
    assert.ok((await readStream((await send('/chunked')).body)).equals(body), 'expected the bytes as they were served');
    assert.equal((await readStream((await send('/empty')).body)).length, 0);
  });

  check('undoes no content coding, and asks for none', async ({ upstream, send }) => {
    upstream.serve('/a', { body: 'plain', fault: { kind: 'gzip' } });
    const reply = await send('/a');
    assert.equal(reply.headers['content-encoding'], 'gzip');
    assert.equal(gunzipSync(await readStream(reply.body)).toString(), 'plain');
    assert.equal(upstream.requests[0]?.headers['accept-encoding'], undefined);
  });

  check('hands over every status as a reply', async ({ upstream, send }) => {
    for (const status of [200, 204, 206, 301, 304, 401, 404, 410, 416, 429, 500, 503]) {
      upstream.serve(`/${status}`, { status, body: status === 204 || status === 304 ? '' : 'body' });
      const reply = await send(`/${status}`);
      assert.equal(reply.status, status);
      await readStream(reply.body);
    }
  });

  check('follows no redirect', async ({ upstream, send }) => {
    upstream.serve('/a', { status: 302, headers: { location: '/b' } });
    upstream.serve('/b', { body: 'b' });
    const reply = await send('/a');
    await readStream(reply.body);
    assert.deepEqual([reply.status, reply.headers['location'], upstream.count('/b')], [302, '/b', 0]);
  });

  check('gives headers in lower case, those of one name joined', async ({ upstream, send }) => {
    upstream.serve('/a', {
      headers: { 'X-Many': ['1', '2', '3'], Vary: ['a', 'b'], 'Set-Cookie': ['a=1', 'b=2'], ETag: '"x"' },
    });
    const { headers, body } = await send('/a');
    await readStream(body);
    assert.deepEqual(
      [headers['x-many'], headers['vary'], headers['set-cookie'], headers['etag']],
      ['1, 2, 3', 'a, b', 'a=1, b=2', '"x"'],
    );
    for (const name of Object.keys(headers)) assert.equal(name, name.toLowerCase());
  });

  check('sends the headers that it is given, and no credentials of its own', async ({ upstream, send }) => {
    upstream.serve('/a', {});
    const headers = {
      accept: 'text/plain',
      'x-custom': 'a, b; c="d"',
      'if-none-match': '"a", W/"b"',
      range: 'bytes=0-1',
    };
    await readStream((await send('/a', { headers })).body);
    const sent = upstream.requests[0]?.headers ?? {};
    for (const [name, value] of Object.entries(headers)) assert.equal(sent[name], value);
    for (const name of ['authorization', 'cookie', 'referer', 'origin']) assert.equal(sent[name], undefined);
  });

  check('sends paths and queries as they are', async ({ upstream, send }) => {
    for (const path of ['/@scope%2fname', '/@scope%2Fname', '/a%20b?x=1&y=a+b&y=%26', '/a//b/', '/~x!$&()*+,;=:@']) {
      await readStream((await send(path)).body);
    }
    assert.deepEqual(
      upstream.requests.map(({ path }) => path),
      ['/@scope%2fname', '/@scope%2Fname', '/a%20b?x=1&y=a+b&y=%26', '/a//b/', '/~x!$&()*+,;=:@'],
    );
  });

  check('sends HEAD and reads no body', async ({ upstream, send }) => {
    upstream.serve('/a', { body: sampleBytes(100_000), etag: '"a"' });
    const reply = await send('/a', { method: 'HEAD' });
    assert.deepEqual([reply.status, reply.headers['content-length'], reply.headers['etag']], [200, '100000', '"a"']);
    assert.equal((await readStream(reply.body)).length, 0);
    assert.equal(upstream.requests[0]?.method, 'HEAD');
    assert.equal((await readStream((await send('/a')).body)).length, 100_000);
  });

  check('sends the body of a POST', async ({ upstream, send }) => {
    upstream.handle('/a', (request, response) => void response.end(request.body));
    for (const body of [sampleBytes(300_000), Buffer.alloc(0)]) {
      const reply = await send('/a', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      assert.ok((await readStream(reply.body)).equals(body), 'expected the bytes that were sent');
    }
    assert.equal(upstream.requests[0]?.headers['content-type'], 'application/json');
    assert.equal(upstream.requests[0]?.headers['content-length'], '300000');
  });

  check('runs many exchanges at once', async ({ upstream, send }) => {
    const gate = upstream.hold('/a');
    upstream.serve('/a', { body: 'a' });
    const replies = Array.from({ length: 20 }, () => send('/a'));
    // A driver that is stuck here fails this check, and nothing else.
    for (const reply of replies) reply.catch(() => {});
    await gate.reached;
    upstream.serve('/b', { body: 'b' });
    assert.equal((await readStream((await send('/b')).body)).toString(), 'b');
    gate.open();
    for (const reply of replies) assert.equal((await readStream((await reply).body)).toString(), 'a');
  });
}

function defineFailures({ check }: Checks<OpenFixture>): void {
  for (const [name, fault] of [
    ['is cut short', { kind: 'truncate', after: 70_000 }],
    ['is cut before its first byte', { kind: 'truncate', after: 0 }],
    ['ends without its last chunk', { kind: 'end-chunked-early', after: 70_000 }],
    ['is shorter than its length', { kind: 'wrong-length', length: 200_000 }],
    ['is reset', { kind: 'reset', after: 70_000 }],
  ] satisfies [string, Fault][]) {
    check(`fails a body that ${name}`, async ({ upstream, send }) => {
      upstream.serve('/a', { body: sampleBytes(100_000), fault });
      const reading = send('/a').then(({ body }) => readStream(body));
      await assertFails(reading, 'upstream-unavailable', `a body that ${name}`);
      upstream.serve('/a', { body: 'fine' });
      assert.equal((await readStream((await send('/a')).body)).toString(), 'fine');
    });
  }

  check('fails when the connection ends before the head', async ({ upstream, send }) => {
    upstream.serve('/a', { fault: { kind: 'reset-before-head' } });
    await assertFails(send('/a'), 'upstream-unavailable', 'a reset');
  });

  check('fails when nobody listens', async ({ upstream, transport }) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    server.close();
    await once(server, 'close');
    await assertFails(transport.send({ ...get(upstream, '/'), url }), 'upstream-unavailable', 'a closed port');
  });

  check('gives a body that is read slowly, of an upstream that closes the connection behind it', async (fixture) => {
    const { upstream, send } = fixture;
    // Enough that the end of the connection arrives while the driver has stopped reading.
    const body = sampleBytes(1024 * 1024);
    upstream.serve('/a', { body, headers: { connection: 'close' } });
    const read = async (): Promise<void> => {
      const pieces: Buffer[] = [];
      for await (const piece of (await send('/a')).body) {
        pieces.push(piece as Buffer);
        for (let turn = 0; turn < 5; turn += 1) await setImmediate();
      }
      assert.ok(Buffer.concat(pieces).equals(body), 'expected the bytes as they were served');
    };
    await Promise.all(Array.from({ length: 20 }, read));
  });

  check('fails when the reply is not HTTP', async ({ upstream, send }) => {
    upstream.handle('/a', (_request, response) => void response.socket?.end('220 mail.example.com ESMTP\r\n\r\n'));
    await assertFails(send('/a'), 'upstream-unavailable', 'a mail server');
  });

  check('names no secret of a URL in its errors', async ({ upstream, transport }) => {
    upstream.serve('/a', { fault: { kind: 'reset-before-head' } });
    const url = new URL(`${upstream.url}/a?token=hush-query#hush-fragment`);
    url.username = 'hush-user';
    url.password = 'hush-password';
    const sending = transport.send({ ...get(upstream, '/'), url, headers: { authorization: 'Bearer hush-header' } });
    const error = await assertFails(sending, 'upstream-unavailable', 'a reset');
    assert.doesNotMatch(error.message, /hush/);
  });
}

function defineAborts({ check }: Checks<OpenFixture>): void {
  check('sends nothing for a signal that is aborted already', async ({ upstream, send }) => {
    assert.ok((await failureOf(send('/a', { signal: AbortSignal.abort() }))) !== undefined, 'expected an error');
    assert.equal(upstream.requests.length, 0);
  });

  check('gives up waiting for the head when its signal is aborted', async ({ upstream, send }) => {
    const gate = upstream.hold('/a');
    const abort = new AbortController();
    const sending = failureOf(send('/a', { signal: abort.signal }));
    await gate.reached;
    abort.abort();
    assert.ok((await sending) !== undefined, 'expected an error, found a reply');
    assert.equal(await upstream.requests[0]?.done, 'cut');
  });

  check('fails the body when its signal is aborted', async ({ upstream, send }) => {
    upstream.serve('/a', { body: sampleBytes(100_000), fault: { kind: 'stall', after: 50_000 } });
    const abort = new AbortController();
    const { body } = await send('/a', { signal: abort.signal });
    const iterator = body[Symbol.asyncIterator]();
    await iterator.next();
    abort.abort();
    const rest = (async () => {
      while ((await iterator.next()).done !== true);
    })();
    assert.ok((await failureOf(rest)) !== undefined, 'expected the body to fail, found a clean end');
    assert.equal(await upstream.requests[0]?.done, 'cut');
  });

  check('lets go of the upstream when the body is destroyed', async ({ upstream, send }) => {
    upstream.serve('/a', { body: sampleBytes(100_000), fault: { kind: 'stall', after: 50_000 } });
    const { body } = await send('/a');
    for await (const chunk of body) {
      assert.ok((chunk as Buffer).length > 0);
      break;
    }
    assert.equal(await upstream.requests[0]?.done, 'cut');
    upstream.serve('/b', { body: 'b' });
    assert.equal((await readStream((await send('/b')).body)).toString(), 'b');
  });
}

/** Hosts that no URL may lead to from a zone. */
const OTHER_ZONES: Readonly<Record<AddressZone, readonly string[]>> = {
  public: ['127.0.0.1', 'localhost', '10.1.2.3', '169.254.169.254'],
  private: ['127.0.0.1', 'localhost', '[::1]', '0.0.0.0', '169.254.169.254', '[fe80::1]', '224.0.0.1', '198.18.0.1'],
  test: ['127.0.0.1', 'localhost', '10.1.2.3', '[fd00::1]', '169.254.169.254'],
  loopback: ['10.1.2.3', '192.168.1.1', '[fd00::1]', '100.64.0.1', '169.254.169.254', '0.0.0.0', '[::]', '203.0.113.1'],
  other: ['127.0.0.1', 'localhost', '10.1.2.3', '169.254.169.254', '0.0.0.0', '[fe80::1]', '224.0.0.1'],
};

function defineAddresses({ check }: Checks<OpenFixture>): void {
  const addresses = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0.0.0.0', '127.1', '[::]'];
  const networks = '10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 [fe80::1] [fd00::1] [::ffff:10.0.0.1]'.split(' ');
  for (const host of [...addresses, ...networks]) {
    check(`refuses ${host} where private addresses are not allowed`, async ({ upstream, transport }) => {
      const url = new URL(upstream.url.replace('127.0.0.1', host));
      const sending = transport.send({ ...get(upstream, '/'), url, allowPrivate: false });
      await assertFails(sending, 'forbidden', `an exchange with ${host}`);
      assert.equal(upstream.requests.length, 0);
    });
  }

  for (const [zone, hosts] of Object.entries(OTHER_ZONES) as [AddressZone, readonly string[]][]) {
    for (const host of hosts) {
      check(`refuses ${host} where zone ${zone} is allowed`, async ({ upstream, transport }) => {
        const url = new URL(upstream.url.replace('127.0.0.1', host));
        const sending = transport.send({ ...get(upstream, '/'), url, allowPrivate: false, alsoZone: zone });
        await assertFails(sending, 'forbidden', `an exchange with ${host}`);
        assert.equal(upstream.requests.length, 0);
      });
    }
  }

  check('reaches the zone that is allowed, by address and by name, and says that it did', async (fixture) => {
    const { upstream, transport } = fixture;
    upstream.serve('/a', { body: 'a' });
    for (const host of ['127.0.0.1', 'localhost']) {
      const url = new URL(`${upstream.url.replace('127.0.0.1', host)}/a`);
      for (const allowed of [{ allowPrivate: false, alsoZone: 'loopback' as const }, { allowPrivate: true }]) {
        const { zone, body } = await transport.send({ ...get(upstream, '/a'), url, ...allowed });
        assert.equal(zone, 'loopback');
        assert.equal((await readStream(body)).toString(), 'a');
      }
    }
  });

  check('refuses a private address also when it is connected to it already', async ({ upstream, send }) => {
    upstream.serve('/a', { body: 'a' });
    await readStream((await send('/a')).body);
    await readStream((await send('/a', { allowPrivate: false, alsoZone: 'loopback' })).body);
    for (const alsoZone of [undefined, 'private', 'other'] as const) {
      const sending = send('/a', { allowPrivate: false, alsoZone });
      await assertFails(sending, 'forbidden', 'an exchange with 127.0.0.1');
    }
    assert.equal(upstream.count('/a'), 2);
  });
}

function defineTimeouts({ checkIf }: Checks<OpenFixture>, timeouts: boolean): void {
  const reason = 'timeouts is off';

  checkIf(timeouts, reason, 'gives up a head that does not come, with 504', async ({ upstream, open }) => {
    upstream.hold('/a');
    const transport = await open({ headTimeout: SHORT });
    const error = await assertFails(transport.send(get(upstream, '/a')), 'upstream-unavailable', 'a held head');
    assert.equal(error.status, 504);
    assert.equal(await upstream.requests[0]?.done, 'cut');
  });

  checkIf(timeouts, reason, 'gives up a body that stands still, with 504', async ({ upstream, open }) => {
    upstream.serve('/a', { body: sampleBytes(100_000), fault: { kind: 'stall', after: 10 } });
    const transport = await open({ idleTimeout: SHORT });
    const { body } = await transport.send(get(upstream, '/a'));
    const error = await assertFails(readStream(body), 'upstream-unavailable', 'a stalled body');
    assert.equal(error.status, 504);
    assert.equal(await upstream.requests[0]?.done, 'cut');
  });
}

function get(upstream: FakeUpstream, path: string): TransportRequest {
  const { signal } = new AbortController();
  return { method: 'GET', url: new URL(upstream.url + path), headers: {}, allowPrivate: true, signal };
}

async function openFixture(factory: (waits: TransportWaits) => Promise<Transport> | Transport): Promise<OpenFixture> {
  const upstream = await FakeUpstream.start();
  const transports: Transport[] = [];
  const open = async (waits: TransportWaits): Promise<Transport> => {
    const transport = await factory(waits);
    transports.push(transport);
    return transport;
  };
  const transport = await open({});
  return {
    upstream,
    transport,
    open,
    send: (path, more = {}) => transport.send({ ...get(upstream, path), ...more }),
    async close() {
      // The upstream first: a transport may wait for exchanges that a failed check has left.
      await upstream.close();
      for (const opened of transports) await opened.dispose();
    },
  };
}
