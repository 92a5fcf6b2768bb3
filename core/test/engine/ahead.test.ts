import { describe, expect, it } from 'vitest';
import { EntrepotError } from '../../src/index.js';
import { MemoryBlobStore, MemoryEntryIndex } from '../../src/testing/index.js';
import { openHarness, patterned, sri, type Harness } from './harness.js';

/** The number of bodies that clients get while they are being kept. */
const MOST_AHEAD = 64;

/** A harness over a store that keeps nothing but the index of `bodies` until the test says so. */
async function openSlow(
  bodies: Readonly<Record<string, Buffer>>,
): Promise<Harness & { keep(): void; fail(): void; readonly puts: () => number }> {
  const blobs = new MemoryBlobStore();
  const put = blobs.put.bind(blobs);
  const harness = await openHarness({ shared: { blobs, entries: new MemoryEntryIndex() } });
  const { get, upstream } = harness;
  const all = { 'described/first': patterned(1), ...bodies };
  for (const [path, body] of Object.entries(all)) upstream.serve(`/${path}`, { body });
  const lines = Object.entries(all).map(([path, body]) => `${path} ${sri(body)}\n`);
  upstream.serve('/index.json', { body: lines.join(''), mediaType: 'application/json' });
  await (await get('/described/first')).bytes();
  await get('/described/first');

  let puts = 0;
  let keep = (): void => {};
  let refuse = (_error: Error): void => {};
  const gate = new Promise<void>((resolve, reject) => {
    keep = resolve;
    refuse = reject;
  });
  gate.catch(() => {});
  blobs.put = async (...given) => {
    puts += 1;
    await gate;
    await put(...given);
  };
  const fail = (): void => {
    blobs.put = put;
    refuse(new EntrepotError('storage', 'no room'));
  };
  return { ...harness, keep, fail, puts: () => puts };
}

function requests({ upstream }: Harness, path: string): number {
  return upstream.requests.filter((request) => request.path === path).length;
}

describe('a promised artifact', () => {
  it.each([0, 10, 60_000, 300_000, 2_000_000])('of %i bytes is whole before it is kept', async (size) => {
    const slow = await openSlow({ 'described/a': patterned(size) });
    const answer = await slow.get('/described/a');
    expect(answer.outcome.name).toBe('miss');
    expect((await answer.bytes()).equals(patterned(size))).toBe(true);
    expect(await slow.entries.find('test', 'described/a')).toBeUndefined();
    const next = slow.get('/described/a');
    slow.keep();
    expect((await next).outcome.name).toBe('hit');
    expect((await (await next).bytes()).equals(patterned(size))).toBe(true);
    expect(requests(slow, '/described/a')).toBe(1);
  });

  it('says of itself what it says once it is kept', async () => {
    const slow = await openSlow({ 'described/a': patterned(1000) });
    const first = await slow.get('/described/a', { range: 'bytes=10-19' });
    slow.keep();
    const second = await slow.get('/described/a', { range: 'bytes=10-19' });
    const { 'X-Cache': _miss, 'Cache-Status': _how, ...told } = first.headers;
    expect(second.headers).toMatchObject(told);
    expect(await first.bytes()).toEqual(patterned(1000).subarray(10, 20));
  });

  it('that could not be kept is fetched again', async () => {
    const slow = await openSlow({ 'described/a': patterned(10) });
    expect((await (await slow.get('/described/a')).bytes()).length).toBe(10);
    const next = slow.get('/described/a');
    slow.fail();
    expect([(await next).outcome.name, await (await next).bytes()]).toEqual(['miss', patterned(10)]);
    expect(requests(slow, '/described/a')).toBe(2);
  });

  it('waits for the store when that is far behind', async () => {
    const paths = Array.from({ length: MOST_AHEAD + 1 }, (_, at) => `described/${at}`);
    const slow = await openSlow(Object.fromEntries(paths.map((path) => [path, Buffer.from(path)])));
    for (const path of paths.slice(0, MOST_AHEAD)) await (await slow.get(`/${path}`)).bytes();
    let isServed = false;
    const last = slow.get(`/${paths.at(-1)}`).then((answer) => {
      isServed = true;
      return answer;
    });
    await expect.poll(slow.puts).toBe(MOST_AHEAD + 1);
    expect(isServed).toBe(false);
    slow.keep();
    expect((await last).status).toBe(200);
    for (const path of paths) expect((await slow.get(`/${path}`)).outcome.name).toBe('hit');
  });
});

describe('a new document that is rendered', () => {
  const PAGE = 'a page';
  const SHOWN = 'A PAGE\nhttps://packages.example.com/test';

  async function openPage(): Promise<Awaited<ReturnType<typeof openSlow>>> {
    const slow = await openSlow({});
    slow.upstream.serve('/text/page', { body: PAGE, mediaType: 'text/plain', etag: '"1"' });
    return slow;
  }

  it('is whole before it is kept, and says of itself what it says once it is', async () => {
    const slow = await openPage();
    const answer = await slow.get('/text/page');
    expect([answer.outcome.name, await answer.text()]).toEqual(['miss', SHOWN]);
    expect(await slow.entries.find('test', 'text/page')).toBeUndefined();
    const next = slow.get('/text/page');
    slow.keep();
    expect([(await next).outcome.name, await (await next).text()]).toEqual(['hit', SHOWN]);
    const { 'X-Cache': _miss, 'Cache-Status': _how, ...told } = answer.headers;
    expect((await next).headers).toMatchObject(told);
    expect(requests(slow, '/text/page')).toBe(1);
  });

  it('that could not be kept is fetched again', async () => {
    const slow = await openPage();
    expect(await (await slow.get('/text/page')).text()).toBe(SHOWN);
    const next = slow.get('/text/page');
    slow.fail();
    expect([(await next).outcome.name, await (await next).text()]).toEqual(['miss', SHOWN]);
    expect(requests(slow, '/text/page')).toBe(2);
  });

  it('is kept first where another copy of it was', async () => {
    const harness = await openHarness({ document: { freshFor: 1000 } });
    harness.upstream.serve('/text/page', { body: 'before', mediaType: 'text/plain', etag: '"0"' });
    await (await harness.get('/text/page')).text();
    await (await harness.get('/text/page')).text();
    harness.upstream.serve('/text/page', { body: PAGE, mediaType: 'text/plain', etag: '"1"' });
    harness.clock.advance(2000);
    const { digest } = (await harness.entries.find('test', 'text/page')) ?? expect.fail();
    expect(await (await harness.get('/text/page')).text()).toBe(SHOWN);
    expect((await harness.entries.find('test', 'text/page'))?.digest).not.toBe(digest);
  });
});

it.each([10, 300_000])('keeps %i bytes that nothing promises before they are whole for anybody', async (size) => {
  const slow = await openSlow({});
  slow.upstream.serve('/files/a', { body: patterned(size) });
  let isWhole = false;
  const read = slow
    .get('/files/a')
    .then((answer) => answer.bytes())
    .then((bytes) => {
      isWhole = true;
      return bytes;
    });
  await expect.poll(slow.puts).toBe(1);
  expect(isWhole).toBe(false);
  slow.keep();
  expect((await read).equals(patterned(size))).toBe(true);
});
