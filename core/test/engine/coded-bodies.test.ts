import { once, setMaxListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openHarness, withFacts, type Harness } from './harness.js';
import { DEFAULT_LIMITS } from '../../src/engine/index.js';

const MIB = 1024 * 1024;
/** One member of gzip that unfolds to a MiB, and one that unfolds to nothing. */
const FULL = gzipSync(Buffer.alloc(MIB));
const EMPTY = gzipSync(Buffer.alloc(0));

/** The test protocol with artifacts and documents of 2 MiB at the most. */
const bounded = withFacts({ upstream: { maxBytes: 2 * MIB } });

/** Sends one member of gzip after another, as long as somebody reads. */
async function sendForEver(response: ServerResponse, member: Buffer): Promise<void> {
  setMaxListeners(0, response);
  response.setHeader('Content-Type', 'text/plain');
  response.setHeader('Content-Encoding', 'gzip');
  const batch = Buffer.concat(Array.from({ length: Math.ceil(4096 / member.length) }, () => member));
  while (!response.destroyed) {
    if (!response.write(batch)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
}

async function statusOf({ get }: Harness, path: string): Promise<[number | undefined, string | undefined]> {
  const reply = await get(path);
  const failed = await reply.bytes().then(
    () => undefined,
    (error: { code?: string }) => error.code,
  );
  return [reply.status, failed ?? reply.outcome.code];
}

describe('a coded body', () => {
  it.each([
    ['/text/a', FULL],
    ['/files/a', FULL],
    ['/text/a', EMPTY],
    ['/files/a', EMPTY],
  ] as const)('of %s ends when it has more bytes than are taken, decoded or not', async (path, member) => {
    const harness = await openHarness({ side: bounded });
    harness.upstream.handle(path, async (_request, response) => await sendForEver(response, member));
    expect((await statusOf(harness, path))[1]).toBe('UPSTREAM_TOO_LARGE');
    await expect.poll(() => harness.storage.spools.used).toBe(0);
  });

  it('unfolds to the size of a document, or to a hundred times its bytes', async () => {
    const limits = {
      ...DEFAULT_LIMITS,
      totalTimeout: 60_000,
      maxDocumentBytes: MIB,
      maxArtifactBytes: Infinity,
      maxRequestBytes: 1000,
    };
    const harness = await openHarness({ definition: { limits } });
    harness.upstream.handle('/files/a', async (_request, response) => await sendForEver(response, FULL));
    expect((await statusOf(harness, '/files/a'))[1]).toBe('UPSTREAM_TOO_LARGE');
    const body = Buffer.from(Array.from({ length: 500_000 }, (_, index) => `${index} `).join(''));
    harness.upstream.serve('/files/b', { body: gzipSync(body), headers: { 'Content-Encoding': 'gzip' } });
    expect((await (await harness.get('/files/b')).bytes()).equals(body)).toBe(true);
  });

  it('that was too large is not fetched again for a moment', async () => {
    const harness = await openHarness({ side: bounded });
    const { upstream, clock } = harness;
    upstream.handle('/text/a', async (_request, response) => await sendForEver(response, FULL));
    expect(await statusOf(harness, '/text/a')).toEqual([502, 'UPSTREAM_TOO_LARGE']);
    clock.advance(3000);
    expect(await statusOf(harness, '/text/a')).toEqual([502, 'REMEMBERED_TOO_LARGE']);
    expect(upstream.requests).toHaveLength(1);
    // Whoever asks meanwhile does not make it longer.
    clock.advance(2000);
    upstream.serve('/text/a', { body: 'small', mediaType: 'text/plain' });
    expect((await harness.get('/text/a')).status).toBe(200);
  });
});
