import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/index.js';
import type { Healing } from '../../src/engine/index.js';
import { FixedPolicy } from '../../src/testing/index.js';
import { openHarness, patterned, type Harness, type HarnessOptions } from './harness.js';

const SMALL = patterned(300_000);
const LARGE = patterned(900_000);

/** Serves `path` once, and loses its bytes. */
async function lose(harness: Harness, path: string): Promise<Entry> {
  const answer = await harness.get(path);
  expect(answer.status).toBeLessThan(300);
  await answer.bytes();
  await harness.landed();
  const entry = await harness.entries.find('test', path.slice(1));
  if (entry === undefined) throw new Error(`${path} was not kept`);
  await harness.blobs.delete(entry.digest);
  harness.storage.blobs.forget(entry.digest);
  return entry;
}

function heal({ repository }: Harness, entry: Entry, signal = new AbortController().signal): Promise<Healing> {
  return repository.heal(entry, signal);
}

async function openLost(path: string, body: Buffer | string, options: HarnessOptions = {}) {
  const harness = await openHarness(options);
  harness.upstream.serve(path, { body, mediaType: 'text/plain' });
  return { harness, entry: await lose(harness, path) };
}

describe('an entry whose bytes are lost', () => {
  it.each([
    ['a small artifact', '/files/small', SMALL],
    ['a large artifact', '/files/large', LARGE],
    ['an empty one', '/files/empty', Buffer.alloc(0)],
    ['a document', '/raw/page', SMALL],
    ['a rendered document', '/text/page', Buffer.from('a page')],
  ])('gets the same bytes from the upstream: %s', async (_, path, body) => {
    const { harness, entry } = await openLost(path, body);
    expect(await heal(harness, entry)).toEqual({ outcome: 'healed' });
    expect(await harness.blobs.stat(entry.digest)).toEqual({ digest: entry.digest, size: entry.size });
    expect(await harness.entries.find('test', entry.key)).toEqual(entry);
    await harness.upstream.close();
    const answer = await harness.get(path);
    expect(answer.outcome.name).toBe('hit');
    expect((await answer.bytes()).length).toBeGreaterThanOrEqual(body.length);
  });

  it('gets them whether they are coded now, or were coded then', async () => {
    const { harness, entry } = await openLost('/text/page', 'a page');
    const headers = { 'content-encoding': 'gzip' };
    harness.upstream.serve('/text/page', { body: gzipSync('a page'), mediaType: 'text/plain', headers });
    expect(await heal(harness, entry)).toEqual({ outcome: 'healed' });
    const coded = await openHarness();
    coded.upstream.serve('/text/page', { body: gzipSync('a page'), mediaType: 'text/plain', headers });
    expect(await heal(coded, await lose(coded, '/text/page'))).toEqual({ outcome: 'healed' });
  });

  it('gets them where a part breaks off', async () => {
    const { harness, entry } = await openLost('/files/large', LARGE);
    const fault = { kind: 'truncate', after: 500_000, times: 1 } as const;
    harness.upstream.serve('/files/large', { body: LARGE, etag: '"one"', ranges: true, fault });
    expect(await heal(harness, entry)).toEqual({ outcome: 'healed' });
  });

  it.each([
    ['of the same size', Buffer.from(SMALL).reverse()],
    ['of another size', LARGE],
  ])('keeps its place while the upstream has other bytes %s: an artifact', async (_, other) => {
    const { harness, entry } = await openLost('/files/small', SMALL);
    harness.upstream.serve('/files/small', { body: other });
    expect(await heal(harness, entry)).toEqual({ outcome: 'changed', reason: 'the upstream has other bytes now' });
    expect(await harness.entries.find('test', entry.key)).toEqual(entry);
    await expect((await harness.get('/files/small')).bytes()).rejects.toMatchObject({ code: 'FIRST_COPY_STAYS' });
    harness.upstream.serve('/files/small', { body: SMALL });
    expect(await heal(harness, entry)).toEqual({ outcome: 'healed' });
  });

  it.each([
    ['in one piece', { body: 'after' }],
    ['without an end', { body: '', fault: { kind: 'endless' } as const }],
  ])('makes place for what the upstream has now: a document %s', async (_, fixture) => {
    const { harness, entry } = await openLost('/raw/page', 'before');
    harness.upstream.serve('/raw/page', fixture);
    expect(await heal(harness, entry)).toMatchObject({ outcome: 'changed' });
    expect(await harness.entries.find('test', entry.key)).toBeUndefined();
    harness.upstream.serve('/raw/page', { body: 'after' });
    expect(await (await harness.get('/raw/page')).text()).toBe('after');
  });

  it('keeps its place where the upstream has nothing any more: an artifact', async () => {
    const { harness, entry } = await openLost('/files/small', SMALL);
    harness.upstream.serve('/files/small', { status: 404 });
    expect(await heal(harness, entry)).toMatchObject({ outcome: 'changed' });
    expect(await harness.entries.find('test', entry.key)).toEqual(entry);
  });

  it('waits for an upstream that is out of reach', async () => {
    const { harness, entry } = await openLost('/files/small', SMALL);
    harness.upstream.goOffline();
    expect(await heal(harness, entry)).toMatchObject({ outcome: 'unreachable' });
    harness.upstream.goOnline();
    expect(await heal(harness, entry)).toEqual({ outcome: 'healed' });
  });

  it('is not asked for while policy refuses its name', async () => {
    const policy = new FixedPolicy();
    const { harness, entry } = await openLost('/files/small', SMALL, { policy });
    expect(entry.coordinates).toBeDefined();
    policy.setRules([{ id: 'all', action: 'deny', reason: 'a test', matches: () => true }]);
    expect(await heal(harness, entry)).toMatchObject({ outcome: 'unreachable' });
    expect(harness.upstream.requests.length).toBe(1);
  });

  it('has no upstream in a hosted repository', async () => {
    const harness = await openHarness({ kind: 'hosted' });
    await harness.ask('PUT', '/files/a', {}, SMALL);
    expect(await heal(harness, await lose(harness, '/files/a'))).toMatchObject({ outcome: 'unreachable' });
  });

  it('is left alone when its end is wanted', async () => {
    const { harness, entry } = await openLost('/files/small', SMALL);
    const gate = harness.upstream.hold('/files/small');
    const stopping = new AbortController();
    const healing = heal(harness, entry, stopping.signal);
    await gate.reached;
    stopping.abort(new Error('enough'));
    await expect(healing).rejects.toThrow('enough');
    gate.open();
  });
});
