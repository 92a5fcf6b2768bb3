import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { type Fence, silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { OwnFlight } from '../../src/cluster/own-flight.js';
import { RelayServer } from '../../src/cluster/relay-server.js';
import { ClusterSignature } from '../../src/cluster/signature.js';
import type { SqlDatabase } from '../../src/drivers/sql/sql-database.js';
import { SqlFlightLeases } from '../../src/drivers/sql/flight-leases.js';
import { leaseName } from '../../src/cluster/lease-name.js';
import { followedBy, SECRET, spooledBy, startCluster, startUpstream } from './support.js';

const BODY = Buffer.alloc(1_000_000, 'the bytes of an artifact, ');
const HALF = BODY.length / 2;
const MOST = BODY.length * 0.9;

/** The name of the lease for a file. */
function nameOf(file: string): string {
  return leaseName(`files\n${file}`);
}

const ASKED_WITH = { accept: '*/*', 'user-agent': 'test' };

/** A process that has the lease of `fence`, and receives a body. @returns its address */
async function leaderOf(fence: Fence, open: (from: number) => Readable): Promise<string> {
  const flight = new OwnFlight(fence);
  const url = 'https://files.example.com/a';
  const headers = { 'content-type': 'text/plain', 'content-length': String(BODY.length) };
  const reply = { status: 200, headers, url, namedBy: undefined, finalUrl: new URL(url), body: Readable.from([]) };
  flight.offer({ reply, isDecoded: false, open });
  const server = await RelayServer.open({
    place: { host: '127.0.0.1', port: 0 },
    signature: new ClusterSignature(SECRET),
    own: () => flight,
    logger: silentLogger,
  });
  onTestFinished(() => server.dispose());
  return `http://127.0.0.1:${server.port}`;
}

/** Takes the lease of a file from the server that has it, as another process does after its end. */
async function stealLease(database: SqlDatabase, file: string): Promise<{ end(): Promise<void> }> {
  await database.updateTable('flights').set({ until: 1 }).execute();
  const other = new SqlFlightLeases(database);
  const name = nameOf(file);
  const generation = (await other.take(name, undefined)) as number;
  return { end: () => other.release({ name, owner: other.owner, generation }, undefined) };
}

async function get(url: string) {
  const answer = await fetch(url);
  return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) };
}

/** An upstream whose body of `/a.txt` stops at the half until `goOn`. */
async function halting() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const upstream = await startUpstream((request, response) => {
    const headers = { 'content-type': 'text/plain', etag: '"one"', 'accept-ranges': 'bytes' };
    const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    if (from !== undefined) {
      const range = `bytes ${from}-${BODY.length - 1}/${BODY.length}`;
      response.writeHead(206, { ...headers, 'content-range': range }).end(BODY.subarray(Number(from)));
      return;
    }
    response.writeHead(200, { ...headers, 'content-length': BODY.length });
    response.write(BODY.subarray(0, HALF));
    void promise.then(() => response.end(BODY.subarray(HALF)));
  });
  return { upstream, goOn: resolve };
}

/** The bytes of a reply that come while its upstream halts. */
async function firstBytes(url: string) {
  const answer = await fetch(url);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  const take = async (until: number) => {
    while (length < until) {
      const { value, done } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.length;
    }
  };
  // What is held back is not to come before the end.
  await take(HALF - 64 * 1024);
  return {
    async rest() {
      await take(Infinity);
      return Buffer.concat(parts);
    },
  };
}

describe('servers of a cluster', () => {
  it('fetch an artifact once, and give its bytes as they come on all of them', async () => {
    const { upstream, goOn } = await halting();
    const { urls } = await startCluster(upstream.url);

    const coming = await Promise.all(urls.flatMap((url) => [firstBytes(`${url}/a.txt`), firstBytes(`${url}/a.txt`)]));
    goOn();
    for (const { rest } of coming) expect((await rest()).equals(BODY)).toBe(true);

    expect(upstream.asked).toEqual(['/a.txt']);
    for (const url of urls) expect((await get(`${url}/a.txt`)).body.equals(BODY)).toBe(true);
    expect(upstream.asked).toEqual(['/a.txt']);
  });

  it('ask for a document once that each of them has to revalidate', async () => {
    let version = 1;
    const upstream = await startUpstream((request, response) => {
      const etag = `"${version}"`;
      const isSame = request.headers['if-none-match'] === etag;
      response.writeHead(isSame ? 304 : 200, { 'content-type': 'application/json', etag });
      // Long enough that the others are asked meanwhile.
      setTimeout(() => response.end(isSame ? undefined : JSON.stringify({ version })), 100);
    });
    const { urls } = await startCluster(upstream.url);

    const seen: string[] = [];
    for (const wanted of [1, 1, 2]) {
      version = wanted;
      const answers = await Promise.all(urls.map((url) => get(`${url}/list.json`)));
      seen.push(...answers.map(({ body }) => body.toString()));
    }

    expect(seen).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 2].map((wanted) => JSON.stringify({ version: wanted })));
    expect(upstream.asked).toHaveLength(3);
  });

  it('take the answer that one of them got for theirs', async () => {
    const waiting: ServerResponse[] = [];
    const upstream = await startUpstream((_request, response) => void waiting.push(response));
    const { origins, urls } = await startCluster(upstream.url);

    const answers = urls.map((url) => get(`${url}/none.txt`));
    await expect.poll(() => waiting.length).toBe(1);
    await expect.poll(() => followedBy(origins)).toBe(2);
    for (const response of waiting) response.writeHead(404).end();

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(upstream.asked).toEqual(['/none.txt']);
  });

  it('take over from one that is not heard of any more', async () => {
    const { upstream, goOn } = await halting();
    const { origins, urls, database } = await startCluster(upstream.url, 2);
    const dead = new SqlFlightLeases(database);
    await dead.take(nameOf('a.txt'), 'http://127.0.0.1:1');
    goOn();

    const answers = urls.map((url) => get(`${url}/a.txt`));
    await expect.poll(() => followedBy(origins)).toBe(2);
    expect(upstream.asked).toEqual([]);
    await database.updateTable('flights').set({ until: 1 }).execute();

    for (const { body } of await Promise.all(answers)) expect(body.equals(BODY)).toBe(true);
    expect(upstream.asked).toEqual(['/a.txt']);
  });

  it('do not publish what they fetched once another one has the lease', async () => {
    const { upstream, goOn } = await halting();
    const { origins, urls, database } = await startCluster(upstream.url, 1);
    const [url] = urls;
    const coming = await firstBytes(`${url}/a.txt`);
    const other = await stealLease(database, 'a.txt');
    goOn();
    let isWhole = false;
    const whole = coming.rest().finally(() => (isWhole = true));

    await expect.poll(() => followedBy(origins)).toBe(1);
    expect([isWhole, await database.selectFrom('entries').select('key').execute()]).toEqual([false, []]);
    // The other one ends without having brought anything.
    await other.end();

    expect((await whole).equals(BODY)).toBe(true);
    expect(await database.selectFrom('entries').select('key').execute()).toHaveLength(1);
    expect(upstream.asked).toEqual(['/a.txt']);
  });

  it('break a body off that another one has published with other bytes', async () => {
    const { upstream, goOn } = await halting();
    const { urls, database } = await startCluster(upstream.url, 1);
    const [url] = urls;
    const coming = await firstBytes(`${url}/a.txt`);
    const other = await stealLease(database, 'a.txt');
    goOn();
    const digest = `sha256:${'0'.repeat(64)}`;
    const blob = { digest, size: 1, state: 'live' as const, seq: 1, visited: 0, since: 1 };
    await database.insertInto('blobs').values(blob).execute();
    const key = 'a.txt';
    const now = Date.now();
    const entry = {
      repository: 'files',
      key,
      digest,
      size: 1,
      media_type: 'text/plain',
      headers: '{}',
      integrity: '[]',
    };
    await database
      .insertInto('entries')
      .values({ ...entry, fetched_at: now, checked_at: now } as never)
      .execute();
    await other.end();

    await expect(coming.rest()).rejects.toThrow();
  });

  it('join what others receive only as far as it is the same', async () => {
    const { origins, urls, database } = await startCluster('http://127.0.0.1:1', 1);
    const [origin = ''] = origins;
    const [url] = urls;
    for (const [file, rest, isRight] of [
      ['same.json', BODY, true],
      ['other.json', Buffer.alloc(BODY.length, 'what the upstream has by now, '), false],
    ] as const) {
      let opened = 0;
      const broken = async function* (): AsyncGenerator<Buffer> {
        // So much that the follower has some of it on disk.
        yield BODY.subarray(0, MOST);
        await expect.poll(() => spooledBy(origin)).toBeGreaterThan(0);
        throw new Error('broken');
      };
      const open = (from: number): Readable =>
        Readable.from((opened += 1) === 1 ? broken() : [rest.subarray(from)], { objectMode: false });
      const other = new SqlFlightLeases(database);
      const name = nameOf(`${file}\n${JSON.stringify(ASKED_WITH)}`);
      await other.take(name, await leaderOf({ name, owner: other.owner, generation: 1 }, open));

      const coming = fetch(`${url}/${file}`, { headers: ASKED_WITH });
      await expect.poll(() => opened).toBeGreaterThan(1);
      await other.release({ name, owner: other.owner, generation: 1 }, undefined);
      const answer = await coming;
      const body = await answer.arrayBuffer().then(Buffer.from, () => Buffer.alloc(0));
      expect([answer.status, body.equals(BODY)]).toEqual(isRight ? [200, true] : [502, false]);
    }
  });

  it('take the end of a body from the store that broke off behind its last byte', async () => {
    const { upstream, goOn } = await halting();
    const { urls, database } = await startCluster(upstream.url, 2);
    const [one = '', two = ''] = urls;
    goOn();
    const name = nameOf('a.txt');
    const { promise: stored, resolve: store } = Promise.withResolvers<void>();
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield BODY;
      await stored;
      throw new Error('broken');
    };
    const other = new SqlFlightLeases(database);
    const open = (): Readable => Readable.from(broken(), { objectMode: false });
    await other.take(name, await leaderOf({ name, owner: other.owner, generation: 1 }, open));
    const coming = await firstBytes(`${one}/a.txt`);
    await database.updateTable('flights').set({ until: 1 }).execute();
    expect((await get(`${two}/a.txt`)).body.equals(BODY)).toBe(true);
    store();

    expect((await coming.rest()).equals(BODY)).toBe(true);
    expect(upstream.asked).toEqual(['/a.txt']);
  });

  it('give nobody what the upstream chose for others', async () => {
    const upstream = await startUpstream((request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', vary: 'accept' });
      // Long enough that both are asked meanwhile.
      setTimeout(() => response.end(`for ${request.headers.accept}`), 200);
    });
    const { urls } = await startCluster(upstream.url, 2);
    const kinds = ['text/one', 'text/two'];
    const ask = async (url: string, accept: string) =>
      (await fetch(`${url}/list.json`, { headers: { accept } })).text();
    const answers = Promise.all(urls.map((url, index) => ask(url, kinds[index] as string)));
    expect(await answers).toEqual(kinds.map((kind) => `for ${kind}`));
    for (const url of urls) for (const kind of kinds) expect(await ask(url, kind)).toBe(`for ${kind}`);
  });
});
