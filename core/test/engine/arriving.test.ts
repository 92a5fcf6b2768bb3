import { describe, expect, it } from 'vitest';
import { eachOf, readJsonObject, SKIP } from '../../src/formats/index.js';
import { allowAll, EntrepotError, type Parsed } from '../../src/index.js';
import { openHarness, patterned, parsedOf, readAll, withFacts, type Answer } from './harness.js';
import type { Readable } from 'node:stream';
import { gunzipSync, gzipSync } from 'node:zlib';

function malformedText(): EntrepotError {
  return new EntrepotError('upstream-unavailable', 'it is a page', { code: 'UPSTREAM_MALFORMED' });
}

/**
 * Documents under `/text/` that can be rendered as soon as they begin. They are none when they end with `<`, or once a
 * part of them begins with `[`.
 */
const arriving = withFacts(
  {
    async parse(content, { key }, context) {
      context.arriving?.(parsedOf(new Map()));
      let last = 0;
      for await (const part of content.stream()) {
        if (part[0] === '['.charCodeAt(0)) throw malformedText();
        last = part.at(-1) ?? last;
      }
      if (last === '<'.charCodeAt(0)) throw malformedText();
      return parsedOf(new Map([[`of ${key}`, { integrity: [] }]]));
    },
  },
  ['text'],
);

const LARGE = 'abcdefgh'.repeat(200_000);
const mediaType = 'text/plain';
const SUFFIX = '\nhttps://packages.example.com/test';

async function firstBytes(answer: Answer): Promise<Buffer> {
  const body = answer.body as Readable;
  return await new Promise((resolve, reject) => body.once('data', resolve).once('error', reject));
}

describe('a large new document', () => {
  it('is rendered while it arrives', async () => {
    const { get, upstream } = await openHarness({ side: arriving });
    upstream.serve('/text/x', { body: LARGE, mediaType, fault: { kind: 'stall', after: 1_000_000 } });
    const answer = await get('/text/x');
    expect([answer.status, answer.outcome.name, answer.headers['ETag']]).toEqual([200, 'miss', undefined]);
    expect((await firstBytes(answer)).toString()).toMatch(/^ABCDEFGH/);
  });

  it('is the same as when it is whole', async () => {
    const { get, upstream, landed } = await openHarness({ side: arriving });
    upstream.serve('/text/x', { body: LARGE, mediaType, chunked: true });
    const first = await get('/text/x');
    expect(first.headers['Content-Length']).toBeUndefined();
    expect((await first.text()) === LARGE.toUpperCase() + SUFFIX).toBe(true);
    await landed();
    const second = await get('/text/x');
    expect([second.outcome.name, second.headers['ETag'] !== undefined]).toEqual(['hit', true]);
    expect((await second.text()) === LARGE.toUpperCase() + SUFFIX).toBe(true);
    expect(upstream.requests.length).toBe(1);
  });

  it('is compressed for clients that take gzip', async () => {
    const { get, upstream } = await openHarness({ side: arriving });
    upstream.serve('/text/x', { body: LARGE, mediaType });
    const answer = await get('/text/x', { 'accept-encoding': 'gzip' });
    expect([answer.headers['Content-Encoding'], answer.headers['Vary']]).toEqual(['gzip', 'Accept-Encoding']);
    expect(gunzipSync(await answer.bytes()).toString() === LARGE.toUpperCase() + SUFFIX).toBe(true);
  });

  it.each(['identity', 'gzip'])('never looks complete when it turns out to be wrong: %s', async (encoding) => {
    const { get, upstream, entries } = await openHarness({ side: arriving });
    upstream.serve('/text/x', { body: `${LARGE}<`, mediaType });
    const answer = await get('/text/x', { 'accept-encoding': encoding });
    await expect(readAll(answer.body)).rejects.toThrow();
    expect(await entries.find('test', 'text/x')).toBeUndefined();
  });

  it('is not awaited once it is known to be wrong: who is told so and asks again gets a new one', async () => {
    const { get, upstream } = await openHarness({ side: arriving });
    const fault = { kind: 'stall', after: 1_000_000, times: 1 } as const;
    upstream.serve('/text/x', { body: '['.repeat(LARGE.length), mediaType, fault });
    const answer = await get('/text/x');
    await expect(readAll(answer.body)).rejects.toThrow();
    upstream.serve('/text/x', { body: LARGE, mediaType });
    expect((await (await get('/text/x')).text()) === LARGE.toUpperCase() + SUFFIX).toBe(true);
  });

  it('is read by the reader of JSON objects although its size is not known yet', async () => {
    const side = withFacts(
      {
        async parse(content) {
          let count = 0;
          await readJsonObject(content, (key) => (key === 'tags' ? eachOf(() => (count += 1)) : SKIP));
          return { weight: count };
        },
        reply: { render: (list: Parsed) => String(list.weight) },
      },
      ['text'],
    );
    const { get, upstream } = await openHarness({ side });
    const tags = Array.from({ length: 400_000 }, (_, at) => String(at));
    upstream.serve('/text/x', { body: JSON.stringify({ tags }), mediaType: 'text/plain', chunked: true });
    expect(await (await get('/text/x')).text()).toBe('400000');
  });

  it('is resumed when it breaks off, also for a client that has its beginning', async () => {
    const { get, upstream } = await openHarness({ side: arriving });
    const fault = { kind: 'truncate', after: 1_000_000, times: 1 } as const;
    upstream.serve('/text/x', { body: LARGE, mediaType, etag: '"1"', ranges: true, fault });
    expect((await (await get('/text/x')).text()) === LARGE.toUpperCase() + SUFFIX).toBe(true);
    expect(upstream.requests.length).toBe(2);
  });

  it('is asked for anew when it cannot be resumed: it breaks off for the client, and is kept', async () => {
    const { get, upstream, landed } = await openHarness({ side: arriving });
    const text = patterned(1_500_000).toString('base64');
    const body = gzipSync(text);
    const fault = { kind: 'truncate', after: body.length - 100_000, times: 1 } as const;
    upstream.serve('/text/x', { body, mediaType, headers: { 'Content-Encoding': 'gzip' }, fault });
    const answer = await get('/text/x');
    await expect(readAll(answer.body)).rejects.toThrow();
    await landed();
    const second = await get('/text/x');
    expect(second.outcome.name).toBe('hit');
    expect((await second.text()) === text.toUpperCase() + SUFFIX).toBe(true);
    expect(upstream.requests.length).toBe(2);
  });

  it.each([
    ['has a copy', {}, { 'if-none-match': '"x"' }],
    ['could be refused part of it', { policy: { ...allowAll, enforces: () => true } }, {}],
  ] as const)('is whole first for a client that %s', async (_title, options, headers) => {
    const { get, upstream } = await openHarness({ side: arriving, ...options });
    upstream.serve('/text/x', { body: LARGE, mediaType });
    const answer = await get('/text/x', headers);
    expect([answer.headers['ETag'] !== undefined, answer.headers['Content-Length']]).toEqual([
      true,
      String(LARGE.length + SUFFIX.length),
    ]);
  });
});

it('is told as wrong where it is small', async () => {
  const { get, upstream } = await openHarness({ side: arriving });
  upstream.serve('/text/x', { body: '<', mediaType, chunked: true });
  const answer = await get('/text/x');
  expect([answer.status, await answer.text()]).toEqual([502, 'it is a page\n']);
});
