import { describe, expect, it } from 'vitest';
import { EntrepotError } from '../../src/index.js';
import { openHarness, parsedOf, sri, withFacts } from './harness.js';
import { DEFAULT_LIMITS } from '../../src/engine/index.js';

/** Documents under `/raw/` that begin with `<` are none. */
const checking = withFacts(
  {
    async parse(content) {
      const text = Buffer.from(await content.bytes(1e7)).toString();
      if (text.startsWith('<')) throw new EntrepotError('upstream-unavailable', 'it is a page', { code: 'A_PAGE' });
      return parsedOf(new Map());
    },
  },
  ['raw'],
);

describe('a small body that turns out to be wrong', () => {
  it.each(['<html>', `<html>${'x'.repeat(100_000)}`])('is told as such where it is a document: %.20s', async (body) => {
    for (const freshness of [{}, { policy: 'bypass' as const }]) {
      const { get, upstream } = await openHarness({ side: checking, document: freshness });
      for (const chunked of [false, true]) {
        const path = `/raw/${chunked ? 'chunked' : 'whole'}`;
        upstream.serve(path, { body, mediaType: 'text/html', chunked });
        const answer = await get(path);
        expect([answer.status, await answer.text()]).toEqual([502, 'it is a page\n']);
      }
    }
  });

  it('does not replace a good copy', async () => {
    const { get, upstream, clock } = await openHarness({ side: checking });
    upstream.serve('/raw/x', { body: 'good' });
    expect(await (await get('/raw/x')).text()).toBe('good');
    upstream.serve('/raw/x', { body: '<html>', mediaType: 'text/html' });
    clock.advance(3_600_000);
    const stale = await get('/raw/x');
    expect([stale.status, stale.outcome.name, await stale.text()]).toEqual([200, 'stale', 'good']);
  });

  it('is told as such where it is an artifact of unknown length', async () => {
    const { get, upstream } = await openHarness();
    upstream.serve('/index.json', { body: `described/a ${sri('right')}\n`, mediaType: 'application/json' });
    upstream.serve('/described/a', { body: 'wrong', chunked: true });
    const answer = await get('/described/a');
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain('expected sha512');
  });

  it('is told as such where only its length is wrong', async () => {
    const { get, upstream } = await openHarness();
    upstream.serve('/raw/short', { body: 'short', fault: { kind: 'wrong-length', length: 10 } });
    expect((await get('/raw/short')).status).toBe(502);
  });
});

it('gives the first bytes of a large document while the rest is still to come', async () => {
  const harness = await openHarness({
    definition: {
      limits: {
        ...DEFAULT_LIMITS,
        totalTimeout: 2000,
        maxDocumentBytes: 1e7,
        maxArtifactBytes: 1e9,
        maxRequestBytes: 1000,
      },
    },
  });
  harness.upstream.serve('/raw/large', {
    body: Buffer.alloc(4_000_000, 'a'),
    fault: { kind: 'stall', after: 500_000 },
  });
  const answer = await harness.get('/raw/large');
  expect(answer.status).toBe(200);
  await expect(answer.bytes()).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' });
});
