import { randomUUID } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRepository, type RepositoryEngine } from '../../src/engine/index.js';
import { allowAll, silentLogger } from '../../src/index.js';
import { FakeUpstream, MemoryHotCache, NodeTransport } from '../../src/testing/index.js';
import { Readable } from 'node:stream';
import { addressedSide, digestOf } from './addressed-side.js';
import { openHarness, patterned, readAll, type Harness } from './harness.js';

const BODY = patterned(1_000_000);
const DIGEST = digestOf(BODY);
const place = (name: string): string => `/blobs/${name}/${DIGEST}`;
const asked = (upstream: FakeUpstream): string[] => upstream.requests.map(({ method, path }) => `${method} ${path}`);

interface Second {
  readonly upstream: FakeUpstream;
  readonly repository: RepositoryEngine;
  get(
    path: string,
    method?: string,
  ): Promise<{ status: number; headers: Readonly<Record<string, string>>; bytes(): Promise<Buffer> }>;
}

const open = (): Promise<Harness> => openHarness({ side: addressedSide });

/** Another repository over the stores of the first one, with an upstream of its own. */
async function openSecond({ repository, storage, blobs, entries, clock }: Harness): Promise<Second> {
  const upstream = await FakeUpstream.start();
  const transport = new NodeTransport();
  const second = createRepository(
    { ...repository.definition, name: 'second', upstreams: [{ url: upstream.url }] },
    {
      blobs,
      entries,
      hotCache: new MemoryHotCache(clock),
      transport,
      policy: allowAll,
      clock,
      logger: silentLogger,
      storage,
    },
  );
  const bodies: Readable[] = [];
  onTestFinished(async () => {
    for (const body of bodies) body.destroy();
    await upstream.close();
    await second.dispose(0);
    await transport.dispose();
  });
  return {
    upstream,
    repository: second,
    async get(path, method = 'GET') {
      const reply = await second.handle({
        method,
        rawPath: path,
        rawQuery: '',
        header: () => undefined,
        body: Readable.from([]),
        baseUrl: `https://packages.example.com/${randomUUID()}`,
        signal: new AbortController().signal,
      });
      if (reply.body instanceof Readable) bodies.push(reply.body.on('error', () => {}));
      return { ...reply, bytes: () => readAll(reply.body) };
    },
  };
}

describe('bytes that another name has brought', () => {
  it('are given this name when its upstream has them, without a fetch', async () => {
    const { upstream, get, entries, landed } = await open();
    upstream.serve(place('one'), { body: BODY });
    upstream.serve(place('two'), { body: BODY });
    await (await get(place('one'))).bytes();
    await landed();
    const answer = await get(place('two'));
    expect((await answer.bytes()).equals(BODY)).toBe(true);
    expect(asked(upstream)).toEqual([`GET ${place('one')}`, `HEAD ${place('two')}`]);
    expect(await entries.find('test', place('two').slice(1))).toMatchObject({ digest: DIGEST, size: BODY.length });
    upstream.goOffline();
    expect((await get(place('two'))).headers['X-Cache']).toBe('HIT');
  });

  it('are served by range', async () => {
    const { upstream, get, landed } = await open();
    upstream.serve(place('one'), { body: BODY });
    upstream.serve(place('two'), { body: BODY });
    await (await get(place('one'))).bytes();
    await landed();
    const answer = await get(place('two'), { range: 'bytes=10-19' });
    expect(answer.status).toBe(206);
    expect(await answer.bytes()).toEqual(BODY.subarray(10, 20));
  });

  it('are given to another repository, which asks its own upstream', async () => {
    const first = await open();
    const second = await openSecond(first);
    first.upstream.serve(place('one'), { body: BODY });
    second.upstream.serve(place('one'), { body: BODY });
    await (await first.get(place('one'))).bytes();
    await first.landed();
    expect((await (await second.get(place('one'))).bytes()).equals(BODY)).toBe(true);
    expect(asked(second.upstream)).toEqual([`HEAD ${place('one')}`]);
    expect(await first.entries.find('second', place('one').slice(1))).toMatchObject({ repository: 'second' });
  });

  it('are not found where this name does not have them', async () => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    await (await get(place('one'))).bytes();
    expect((await get(place('two'))).status).toBe(404);
    expect(asked(upstream)).toEqual([`GET ${place('one')}`, `HEAD ${place('two')}`, `GET ${place('two')}`]);
  });

  it.each([500, 503, 429])('are not given away when the upstream answers %i', async (status) => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    await (await get(place('one'))).bytes();
    upstream.serve(place('two'), { fault: { kind: 'status', status } });
    expect((await get(place('two'))).outcome.code).toBe(`UPSTREAM_${status}`);
  });

  it.each([400, 401, 403, 404, 405, 500, 501])('are fetched when HEAD is refused with %i', async (status) => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    await (await get(place('one'))).bytes();
    upstream.handle(place('two'), ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(status).end();
      else response.writeHead(200, { 'content-length': BODY.length }).end(BODY);
    });
    expect((await (await get(place('two'))).bytes()).equals(BODY)).toBe(true);
    expect(asked(upstream).slice(1)).toEqual([`HEAD ${place('two')}`, `GET ${place('two')}`]);
  });

  it('are not given away when GET is refused as well', async () => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    await (await get(place('one'))).bytes();
    upstream.serve(place('two'), { status: 403 });
    expect((await get(place('two'))).outcome.code).toBe('UPSTREAM_FORBIDDEN');
  });
});

describe('bytes that another name is bringing', () => {
  it('are followed once this name was proved', async () => {
    const { upstream, get, entries, repository } = await open();
    upstream.serve(place('one'), { body: BODY });
    upstream.serve(place('two'), { body: BODY });
    const gate = upstream.hold(place('one'), { afterBytes: 500_000 });
    const answers = [await get(place('one')), await get(place('two'))];
    expect(answers.map(({ headers }) => headers['Content-Length'])).toEqual(Array(2).fill('1000000'));
    expect(answers.map(({ headers }) => headers['ETag'])).toEqual(Array(2).fill(`"${DIGEST}"`));
    gate.open();
    for (const answer of answers) expect((await answer.bytes()).equals(BODY)).toBe(true);
    expect(asked(upstream)).toEqual([`GET ${place('one')}`, `HEAD ${place('two')}`]);
    while (repository.flights() > 0) await new Promise(setImmediate);
    expect(await entries.find('test', place('two').slice(1))).toBeDefined();
  });

  it.each(['stall', 'truncate', 'wrong-bytes', 'reset-before-head', 'captive-portal'] as const)(
    'to another repository are not waited for: its upstream may be sick (%s)',
    async (kind) => {
      const first = await open();
      const second = await openSecond(first);
      first.upstream.serve(place('one'), { body: BODY, fault: { kind, after: 500_000 } });
      second.upstream.serve(place('one'), { body: BODY });
      const gate = kind === 'wrong-bytes' ? first.upstream.hold(place('one'), { afterBytes: 500_000 }) : undefined;
      const sick = first.get(place('one'));
      while (first.upstream.requests.length === 0) await new Promise(setImmediate);
      expect((await (await second.get(place('one'))).bytes()).equals(BODY)).toBe(true);
      gate?.open();
      first.upstream.goOffline();
      await sick;
    },
  );

  it('are followed by range', async () => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    upstream.serve(place('two'), { body: BODY });
    const gate = upstream.hold(place('one'), { afterBytes: 500_000 });
    await get(place('one'));
    const near = await get(place('two'), { range: 'bytes=1000-1999' });
    expect(near).toMatchObject({ status: 206, headers: { 'Content-Range': 'bytes 1000-1999/1000000' } });
    expect(await near.bytes()).toEqual(BODY.subarray(1000, 2000));
    const last = await get(place('two'), { range: 'bytes=-10' });
    gate.open();
    expect(await last.bytes()).toEqual(BODY.subarray(-10));
    expect((await get(place('two'), { range: 'bytes=1000000-' })).status).toBe(416);
  });

  it('are followed by many', async () => {
    const { upstream, get } = await open();
    const names = Array.from({ length: 20 }, (_, number) => place(`name-${number}`));
    for (const name of names) upstream.serve(name, { body: BODY });
    const gates = names.map((name) => upstream.hold(name, { afterBytes: 100_000 }));
    const answers = names.map((name) => get(name));
    await Promise.race(gates.map(({ reached }) => reached));
    for (const gate of gates) gate.open();
    for (const answer of await Promise.all(answers)) expect((await answer.bytes()).equals(BODY)).toBe(true);
    expect(asked(upstream).filter((line) => line.startsWith('GET'))).toHaveLength(1);
  });

  it.each([404, 503])('are kept from a name that its upstream answers %i for', async (status) => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    upstream.serve(place('two'), { status });
    const gate = upstream.hold(place('one'), { afterBytes: 500_000 });
    const first = await get(place('one'));
    expect((await get(place('two'))).outcome.name).toBe('failed');
    gate.open();
    expect((await first.bytes()).equals(BODY)).toBe(true);
  });

  it('are fetched beside it when HEAD is refused', async () => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { body: BODY });
    upstream.handle(place('two'), ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(405).end();
      else response.writeHead(200, { 'content-length': BODY.length }).end(BODY);
    });
    const gate = upstream.hold(place('one'), { afterBytes: 500_000 });
    const first = await get(place('one'));
    expect((await (await get(place('two'))).bytes()).equals(BODY)).toBe(true);
    gate.open();
    expect((await first.bytes()).equals(BODY)).toBe(true);
  });

  it('are fetched here when the other upstream fails before it sends any', async () => {
    const { upstream, get } = await open();
    upstream.serve(place('one'), { fault: { kind: 'status', status: 500 } });
    upstream.serve(place('two'), { body: BODY });
    const gate = upstream.hold(place('one'));
    const proof = upstream.hold(place('two'));
    const first = get(place('one'));
    await gate.reached;
    const second = get(place('two'));
    await proof.reached;
    gate.open();
    expect((await first).status).toBe(502);
    proof.open();
    expect((await (await second).bytes()).equals(BODY)).toBe(true);
    expect(asked(upstream)).toEqual([`GET ${place('one')}`, `HEAD ${place('two')}`, `GET ${place('two')}`]);
  });

  it('never look complete when they turn out to be wrong, and the next request works', async () => {
    const { upstream, get, entries } = await open();
    upstream.serve(place('one'), { body: BODY, fault: { kind: 'wrong-bytes' } });
    upstream.serve(place('two'), { body: BODY });
    const gate = upstream.hold(place('one'), { afterBytes: 500_000 });
    const answers = [await get(place('one')), await get(place('two'))];
    gate.open();
    for (const answer of answers) await expect(answer.bytes()).rejects.toMatchObject({ kind: 'integrity' });
    expect(await entries.find('test', place('two').slice(1))).toBeUndefined();
    expect((await (await get(place('two'))).bytes()).equals(BODY)).toBe(true);
  });

  it('are followed also when there is no room to keep them', async () => {
    const { upstream, get, entries } = await openHarness({ side: addressedSide, maxSpoolBytes: 1000 });
    upstream.serve(place('one'), { body: BODY });
    upstream.serve(place('two'), { body: BODY });
    const gate = upstream.hold(place('one'), { afterBytes: 500_000 });
    const first = await get(place('one'));
    const second = await get(place('two'));
    gate.open();
    const all = await Promise.all([first.bytes(), second.bytes()]);
    expect(all.every((bytes) => bytes.equals(BODY))).toBe(true);
    expect(await entries.find('test', place('two').slice(1))).toBeUndefined();
  });
});

describe('HEAD of bytes that are not kept', () => {
  it('says what the upstream says, and the digest', async () => {
    const { upstream, ask } = await open();
    upstream.serve(place('one'), { body: BODY });
    expect(await ask('HEAD', place('one'))).toMatchObject({
      status: 200,
      headers: { 'Content-Length': '1000000', ETag: `"${DIGEST}"` },
    });
    expect(asked(upstream)).toEqual([`HEAD ${place('one')}`]);
  });

  it.each([401, 403, 405])('says what is known already when HEAD is refused with %i', async (status) => {
    const { upstream, ask } = await open();
    upstream.serve(place('one'), { status });
    expect(await ask('HEAD', `${place('one')}?size=1000000`)).toMatchObject({
      status: 200,
      headers: { 'Content-Length': '1000000' },
    });
  });

  it.each([404, 503])('is not made up when the upstream answers %i', async (status) => {
    const { upstream, ask } = await open();
    upstream.serve(place('one'), { status });
    expect((await ask('HEAD', `${place('one')}?size=1000000`)).outcome.name).toBe('failed');
  });
});
