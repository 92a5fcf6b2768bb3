import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { anonymousAccess } from '../../src/index.js';
import type { EngineReply } from '../../src/engine/index.js';
import { openHarness, type Harness } from './harness.js';

/** Finds the ready reply to a GET of `path`. */
function ready({ repository }: Harness, path: string, headers: Record<string, string> = {}): EngineReply | undefined {
  return repository.ready?.({
    method: 'GET',
    rawPath: path,
    rawQuery: '',
    header: (name) => headers[name],
    body: Readable.from([]),
    baseUrl: 'https://packages.example.com/test',
    signal: new AbortController().signal,
  });
}

async function open(options: Parameters<typeof openHarness>[0] = {}): Promise<Harness> {
  const harness = await openHarness(options);
  harness.upstream.serve('/files/a', { body: 'bytes' });
  return harness;
}

describe('the reply that is ready', () => {
  it('is there for a second after somebody got it', async () => {
    const harness = await open();
    await (await harness.get('/files/a')).text();
    expect(ready(harness, '/files/a')).toBeUndefined();
    const given = await harness.get('/files/a');
    const found = ready(harness, '/files/a');
    expect(found).toMatchObject({ status: 200, headers: given.headers, body: Buffer.from('bytes') });
    const etag = given.headers['ETag'] as string;
    expect(ready(harness, '/files/a', { 'if-none-match': etag })).toMatchObject({ status: 304 });
    harness.clock.advance(1000);
    expect(ready(harness, '/files/a')).toBeUndefined();
  });

  it('is a 304 where only those have asked who have it already', async () => {
    const harness = await open();
    const etag = (await harness.get('/files/a')).headers['ETag'] as string;
    harness.clock.advance(5000);
    const given = await harness.get('/files/a', { 'if-none-match': etag });
    expect(given.status).toBe(304);
    const found = ready(harness, '/files/a', { 'if-none-match': etag });
    expect(found).toEqual({ status: 304, headers: given.headers, outcome: given.outcome });
    expect(ready(harness, '/files/a')).toBeUndefined();
    expect(ready(harness, '/files/a', { 'if-none-match': '"another"' })).toBeUndefined();
    expect(await (await harness.get('/files/a')).text()).toBe('bytes');
    expect(ready(harness, '/files/a')).toMatchObject({ status: 200 });
  });

  it('is not given to those who have to say who they are', async () => {
    const harness = await open({ definition: { access: anonymousAccess([]) } });
    expect((await harness.get('/files/a')).status).toBe(403);
    expect(ready(harness, '/files/a')).toBeUndefined();
  });

  it('is not given to those who say who they are: wrong credentials are refused, and the log names the caller', async () => {
    const harness = await open();
    for (let round = 0; round < 2; round += 1) await (await harness.get('/files/a')).text();
    expect(ready(harness, '/files/a')).toMatchObject({ status: 200 });
    expect(ready(harness, '/files/a', { authorization: 'Basic bm9ib2R5Ong=' })).toBeUndefined();
  });

  it('is nothing for a path that is refused', async () => {
    const harness = await open();
    expect(ready(harness, '/files/../a')).toBeUndefined();
    expect(ready(harness, '/nothing')).toBeUndefined();
  });
});
