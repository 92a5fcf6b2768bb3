import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { EntrepotError, silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { OwnFlight } from '../../src/cluster/own-flight.js';
import { outcomeOf, readOutcome } from '../../src/cluster/outcome.js';
import { HttpRelayClient } from '../../src/cluster/relay-client.js';
import { RelayServer } from '../../src/cluster/relay-server.js';
import { ClusterSignature } from '../../src/cluster/signature.js';
import { SECRET } from './support.js';

const NAME = 'a'.repeat(64);
const TARGET = `/-/internal/v1/flights/${NAME}?generation=7&from=0`;
const BODY = Buffer.from('the bytes of a body');

function flightWith(open: (from: number) => Readable): OwnFlight {
  const flight = new OwnFlight({ name: NAME, owner: 'me', generation: 7 });
  const url = 'https://registry.example.com/a';
  const headers = { etag: '"one"', 'content-length': '19', 'content-encoding': 'gzip' };
  const reply = { status: 200, headers, url, namedBy: undefined, finalUrl: new URL(url), body: Readable.from([]) };
  flight.offer({ reply, isDecoded: true, open });
  return flight;
}

async function relay(flight: OwnFlight) {
  const server = await RelayServer.open({
    place: { host: '127.0.0.1', port: 0 },
    signature: new ClusterSignature(SECRET),
    own: (name, generation) => (name === NAME && generation === 7 ? flight : undefined),
    logger: silentLogger,
  });
  onTestFinished(() => server.dispose());
  return `http://127.0.0.1:${server.port}`;
}

function status(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject);
  });
}

function clientOf(secret = SECRET): HttpRelayClient {
  const client = new HttpRelayClient(new ClusterSignature(secret));
  onTestFinished(() => client.dispose());
  return client;
}

function leaseAt(address: string, generation = 7) {
  return { name: NAME, owner: 'other', generation, isLive: true, address, outcome: undefined };
}

const forever = (): AbortSignal => new AbortController().signal;

describe('a relay', () => {
  it('gives the head of a reply and its bytes from where they are wanted, without a coding that was undone', async () => {
    const address = await relay(flightWith((from) => Readable.from([BODY.subarray(from)])));
    const reply = await clientOf().open(leaseAt(address), 4, forever());
    expect(reply).toMatchObject({ status: 200, headers: { etag: '"one"' }, isDecoded: true });
    expect(Object.keys(reply?.headers ?? {})).toEqual(['etag']);
    expect(Buffer.concat(await (reply as { body: Readable }).body.toArray()).toString()).toBe('bytes of a body');
  });

  it('breaks off where the fetch does', async () => {
    const broken = async function* () {
      yield BODY;
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('broken');
    };
    const address = await relay(flightWith(() => Readable.from(broken())));
    const reply = await clientOf().open(leaseAt(address), 0, forever());
    await expect(reply?.body.toArray()).rejects.toMatchObject({ code: 'RELAY_BROKEN', kind: 'upstream-unavailable' });
  });

  it('gives nothing of another generation, to another secret, or without an address', async () => {
    const address = await relay(flightWith(() => Readable.from([BODY])));
    expect(await clientOf().open(leaseAt(address, 8), 0, forever())).toBeUndefined();
    expect(await clientOf('another secret, of the same length').open(leaseAt(address), 0, forever())).toBeUndefined();
    expect(await clientOf().open({ ...leaseAt(address), address: undefined }, 0, forever())).toBeUndefined();
  });

  it('gives nothing for a fetch that ends without a body', async () => {
    const flight = new OwnFlight({ name: NAME, owner: 'me', generation: 7 });
    const address = await relay(flight);
    const asked = clientOf().open(leaseAt(address), 0, forever());
    flight.end();
    expect(await asked).toBeUndefined();
  });

  it('is let go of when what it sends is no head', async () => {
    let answered: Socket | undefined;
    const server = createServer((request, response) => {
      answered = request.socket;
      response.writeHead(200).write(Buffer.alloc(1_000, 0xff));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close().closeAllConnections());
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(clientOf().open(leaseAt(address), 0, forever())).rejects.toMatchObject({ code: 'RELAY_BROKEN' });
    await expect.poll(() => answered?.destroyed).toBe(true);
  });

  it('refuses requests that are not signed, signed for something else, used, or forwarded', async () => {
    const url = (await relay(flightWith(() => Readable.from([BODY])))) + TARGET;
    const signature = new ClusterSignature(SECRET);
    const authorization = signature.sign(TARGET);
    expect(await status(url, {})).toBe(403);
    expect(await status(url, { authorization: signature.sign(`${TARGET}0`) })).toBe(403);
    expect(await status(url, { authorization: signature.sign(TARGET), 'x-forwarded-for': '10.0.0.1' })).toBe(403);
    expect(await status(url, { authorization })).toBe(200);
    expect(await status(url, { authorization })).toBe(403);
  });
});

describe('a signature', () => {
  it('is good for half a minute, also from a clock that is half a minute ahead', () => {
    let now = 1_000_000;
    const own = new ClusterSignature(SECRET, () => now);
    const early = new ClusterSignature(SECRET, () => now + 29_000);
    expect(own.check('/a', early.sign('/a'))).toBe(true);
    const signed = own.sign('/a');
    now += 31_000;
    expect(own.check('/a', signed)).toBe(false);
    const far = new ClusterSignature(SECRET, () => now + 31_000);
    expect(own.check('/a', far.sign('/a'))).toBe(false);
  });
});

describe('an answer for others', () => {
  it('comes back as it was', () => {
    const error = new EntrepotError('not-found', 'There is none', { code: 'UPSTREAM_NOT_FOUND', retryAfter: 3 });
    const { kind, code, status: found, retryAfter, message } = error;
    expect(readOutcome(outcomeOf(error))).toMatchObject({ kind, code, status: found, retryAfter, message });
  });

  it.each(['', '{}', 'null', '{"kind":"strange"}'])('of another version is none: %s', (text) => {
    expect(readOutcome(text)).toBeUndefined();
  });
});
