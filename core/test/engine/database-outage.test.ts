import { describe, expect, it, onTestFinished } from 'vitest';
import { EntrepotError } from '../../src/index.js';
import { MemoryBlobStore, MemoryEntryIndex } from '../../src/testing/index.js';
import { openHarness, type Harness, type HarnessOptions } from './harness.js';

type Trouble = 'none' | 'read-only' | 'down' | 'hangs';

const READING = new Set<keyof MemoryEntryIndex>(['find', 'list', 'revision', 'referenced']);

/** A harness over an index that gets into trouble when the test says so. */
async function openTroubled(options: HarnessOptions = {}): Promise<{ harness: Harness; be: (now: Trouble) => void }> {
  let trouble: Trouble = 'none';
  const entries = new Proxy(new MemoryEntryIndex(), {
    get(index, name: keyof MemoryEntryIndex) {
      const method = index[name];
      if (typeof method !== 'function') return method;
      return (...given: never[]) => {
        if (name !== 'dispose' && trouble === 'hangs') return new Promise(() => {});
        const refused = trouble === 'down' || (trouble === 'read-only' && !READING.has(name));
        if (refused && name !== 'dispose') return Promise.reject(new EntrepotError('storage', `no ${name} now`));
        return (method as (...given: never[]) => unknown).apply(index, given);
      };
    },
  });
  const harness = await openHarness({ ...options, shared: { blobs: new MemoryBlobStore(), entries } });
  onTestFinished(() => void (trouble = 'none'));
  return { harness, be: (now) => void (trouble = now) };
}

describe.each(['read-only', 'down', 'hangs'] as const)('a database that is %s', (trouble) => {
  it('keeps nobody from what is kept, fresh, stale or confirmed', async () => {
    const { harness, be } = await openTroubled({ document: { freshFor: 1000 }, artifact: { expireAfter: 1000 } });
    const { upstream, get, clock } = harness;
    const paths = ['/files/a', '/raw/page', '/text/page'];
    for (const path of paths) upstream.serve(path, { body: 'one', etag: '"1"', mediaType: 'text/plain' });
    for (const path of paths) await (await get(path)).bytes();
    // Whoever asks again waits until it is kept.
    for (const path of paths) await get(path);
    be(trouble);
    for (const path of paths) expect(await get(path)).toMatchObject({ status: 200, headers: { 'X-Cache': 'HIT' } });
    clock.advance(2000);
    for (const path of paths)
      expect(await get(path)).toMatchObject({ status: 200, headers: { 'X-Cache': 'REVALIDATED' } });
    // Renewed in memory.
    for (const path of paths) expect(await get(path)).toMatchObject({ status: 200, headers: { 'X-Cache': 'HIT' } });
    clock.advance(2000);
    upstream.goOffline();
    for (const path of paths) expect(await get(path)).toMatchObject({ status: 200, headers: { 'X-Cache': 'STALE' } });
  });

  it('keeps nobody from what a hosted repository has', async () => {
    const { harness, be } = await openTroubled({ kind: 'hosted' });
    expect((await harness.ask('PUT', '/files/a', {}, 'bytes')).status).toBe(201);
    expect(await (await harness.get('/files/a')).text()).toBe('bytes');
    be(trouble);
    for (let seconds = 0; seconds < 3; seconds += 1) {
      harness.clock.advance(1000);
      expect(await (await harness.get('/files/a')).text()).toBe('bytes');
    }
  });
});

describe('a database that is down', () => {
  it('leads to the upstream for what memory does not know', async () => {
    const { harness, be } = await openTroubled();
    harness.upstream.serve('/files/a', { body: 'bytes' });
    harness.upstream.serve('/text/page', { body: 'page', mediaType: 'text/plain' });
    be('down');
    for (let asked = 0; asked < 2; asked += 1) {
      expect(await (await harness.get('/files/a')).text()).toBe('bytes');
      expect((await harness.get('/text/page')).status).toBe(200);
    }
    be('none');
    expect(await (await harness.get('/files/a')).text()).toBe('bytes');
    expect((await harness.get('/files/a')).headers['X-Cache']).toBe('HIT');
  });
});

describe('a hosted repository whose database fails', () => {
  it('answers what memory does not know with 503, when to try again and why, never that it is not there', async () => {
    const outage = new EntrepotError('storage', 'cannot find an entry', { status: 503, retryAfter: 5 });
    const entries = new Proxy(new MemoryEntryIndex(), {
      get: (of, name) => (name === 'find' ? () => Promise.reject(outage) : bound(of, name)),
    });
    const { get } = await openHarness({ kind: 'hosted', shared: { blobs: new MemoryBlobStore(), entries } });
    const answer = await get('/files/a');
    expect(answer).toMatchObject({ status: 503, headers: { 'Retry-After': '5', 'Cache-Control': 'no-store' } });
    expect(await answer.text()).toContain('try again in a few seconds');
  });
});

describe('a disk without room', () => {
  it.each(['ENOSPC', 'EDQUOT', '53100'])('is a 507 for uploads, wherever it shows (%s)', async (code) => {
    const full = (): Promise<never> => Promise.reject(Object.assign(new Error('no room'), { code }));
    const broken = [
      { blobs: new Proxy(new MemoryBlobStore(), { get: (of, name) => (name === 'put' ? full : bound(of, name)) }) },
      {
        entries: new Proxy(new MemoryEntryIndex(), { get: (of, name) => (name === 'change' ? full : bound(of, name)) }),
      },
    ];
    for (const one of broken) {
      const shared = { blobs: new MemoryBlobStore(), entries: new MemoryEntryIndex(), ...one };
      const { ask, get } = await openHarness({ kind: 'hosted', shared });
      const refused = await ask('PUT', '/files/a', {}, 'bytes');
      expect(refused.status).toBe(507);
      expect(await refused.text()).toContain('no room to store this');
      expect((await get('/files/a')).status).toBe(404);
    }
  });
});

function bound<Target extends object>(target: Target, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'function' ? value.bind(target) : value;
}
