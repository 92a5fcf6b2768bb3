import { describe, expect, it } from 'vitest';
import { parseRanges } from '../../src/engine/reply/multiple-ranges.js';
import { openHarness, patterned, withFacts, type Harness } from './harness.js';

const side = withFacts({ reply: { severalRanges: true } }, ['file']);

/** The parts of a reply, by their ranges. */
function partsOf(answer: { headers: Readonly<Record<string, string>> }, body: Buffer): Map<string, Buffer> {
  const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(answer.headers['Content-Type'] ?? '')?.[1];
  const text = body.toString('latin1');
  const pieces = text.split(`\r\n--${boundary}`);
  expect([pieces[0], pieces.at(-1)]).toEqual(['', '--\r\n']);
  return new Map(
    pieces.slice(1, -1).map((piece) => {
      const blank = piece.indexOf('\r\n\r\n');
      const range = /\r\nContent-Range: bytes ([\d/-]+)/.exec(piece.slice(0, blank))?.[1] as string;
      return [range, Buffer.from(piece.slice(blank + 4), 'latin1')];
    }),
  );
}

async function open(size: number): Promise<Harness & { readonly content: Buffer }> {
  const harness = await openHarness({ side });
  const content = patterned(size);
  harness.upstream.serve('/files/a', { body: content, mediaType: 'text/plain' });
  return { ...harness, content };
}

describe('several ranges of one request', () => {
  it.each([
    ['small', 1000],
    ['large', 3_000_000],
  ])('are one body, in the order that they are asked for, cold and kept: %s', async (_what, size) => {
    const { get, content, upstream } = await open(size);
    const range = `bytes=900-909,0-9, 500-599 ,-5`;
    for (const cache of ['MISS', 'HIT']) {
      const answer = await get('/files/a', { range });
      expect(answer.status).toBe(206);
      expect(answer.headers).toMatchObject({ 'X-Cache': cache });
      const body = await answer.bytes();
      expect(answer.headers['Content-Length']).toBe(String(body.length));
      expect([...partsOf(answer, body)]).toEqual([
        [`900-909/${size}`, content.subarray(900, 910)],
        [`0-9/${size}`, content.subarray(0, 10)],
        [`500-599/${size}`, content.subarray(500, 600)],
        [`${size - 5}-${size - 1}/${size}`, content.subarray(-5)],
      ]);
    }
    expect(upstream.count('/files/a')).toBe(1);
  });

  it('are one range where the others lie outside, and none where all do', async () => {
    const { get, content } = await open(1000);
    await (await get('/files/a')).bytes();
    const answer = await get('/files/a', { range: 'bytes=5000-6000,10-19' });
    expect(answer.headers['Content-Range']).toBe('bytes 10-19/1000');
    expect(await answer.bytes()).toEqual(content.subarray(10, 20));
    expect((await get('/files/a', { range: 'bytes=5000-6000,7000-' })).status).toBe(416);
  });

  it.each([
    ['one that is malformed', 'bytes=0-9,x'],
    ['another unit', 'items=0-9,20-29'],
    ['more bytes than there are', 'bytes=0-999,0-9'],
    ['too many', `bytes=${Array.from({ length: 257 }, (_, at) => `${at}-${at}`).join(',')}`],
  ])('are ignored with %s', async (_what, range) => {
    const { get, content } = await open(1000);
    for (let asked = 0; asked < 2; asked += 1) {
      const answer = await get('/files/a', { range });
      expect(answer.status).toBe(200);
      expect(await answer.bytes()).toEqual(content);
    }
  });

  it('are ignored by classes that do not say so, and where If-Range names other bytes', async () => {
    const other = await openHarness();
    other.upstream.serve('/files/a', { body: 'x'.repeat(100) });
    expect((await other.get('/files/a', { range: 'bytes=0-1,4-5' })).status).toBe(200);
    const { get } = await open(1000);
    await (await get('/files/a')).bytes();
    expect((await get('/files/a', { range: 'bytes=0-1,4-5', 'if-range': '"other"' })).status).toBe(200);
  });

  it('may be 256', () => {
    const header = `bytes=${Array.from({ length: 256 }, (_, at) => `${2 * at}-${2 * at}`).join(',')}`;
    expect(parseRanges(header, 1000)).toHaveLength(256);
    expect(parseRanges(`bytes=${','.repeat(1_000_000)}`, 1000)).toBeUndefined();
  });
});
