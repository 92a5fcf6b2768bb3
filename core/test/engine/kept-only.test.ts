import { describe, expect, it } from 'vitest';
import { EntrepotError } from '../../src/index.js';
import { markingOnlyKept, openHarness, withFacts } from './harness.js';

/** Requests with the header `only-kept` ask for what is kept. */
const side = withFacts(
  { cache: { cachedOnly: ({ attributes }) => attributes?.['onlyKept'] === true } },
  undefined,
  markingOnlyKept,
);

describe('only what is kept', () => {
  it('is not found when it is not kept, and no upstream is asked', async () => {
    const { upstream, ask } = await openHarness({ side });
    upstream.serve('/files/a', { body: 'bytes' });
    for (const method of ['GET', 'HEAD']) {
      for (const path of ['/files/a', '/text/a']) {
        const { status, headers } = await ask(method, path, { 'only-kept': '1' });
        expect([status, headers['Cache-Status']]).toEqual([404, expect.stringContaining('NOT_KEPT')]);
      }
    }
    expect(upstream.requests).toEqual([]);
  });

  it('is served however old it is, and not refreshed', async () => {
    const { upstream, get, clock } = await openHarness({ side, document: { staleWhileRevalidate: Infinity } });
    upstream.serve('/raw/a', { body: 'old' });
    await (await get('/raw/a')).bytes();
    upstream.serve('/raw/a', { body: 'new' });
    clock.advance(86_400_000 * 365);
    expect(await (await get('/raw/a', { 'only-kept': '1' })).text()).toBe('old');
    expect(upstream.count('/raw/a')).toBe(1);
  });
});

describe('an artifact that is refused', () => {
  it('is answered with the reason when none of it had to be sent yet', async () => {
    const verify = async (): Promise<void> => {
      throw new EntrepotError('integrity', 'not what was promised');
    };
    const { upstream, get } = await openHarness({ side: withFacts({ trust: { verify } }) });
    upstream.serve('/files/a', { body: 'small' });
    const { status, ...reply } = await get('/files/a');
    expect(status).toBe(502);
    expect(await reply.text()).toContain('not what was promised');
  });
});
