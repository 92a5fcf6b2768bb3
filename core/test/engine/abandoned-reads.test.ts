import { describe, expect, it } from 'vitest';
import { openHarness, withFacts } from './harness.js';

/** `/files/*` are verified with two documents. */
const side = withFacts(
  {
    trust: {
      async verify(_resource, _content, { read }) {
        await Promise.all(['raw/one', 'raw/other'].map((key) => read({ class: 'raw', key, path: key })));
      },
    },
  },
  ['file'],
);

describe('what a hook reads that fails', () => {
  it('ends with it, and is asked for anew by whoever tries again', async () => {
    const { upstream, get, repository } = await openHarness({ side });
    upstream.serve('/files/a', { body: 'a' });
    upstream.serve('/raw/one', { status: 500 });
    upstream.serve('/raw/other', { body: 'other' });
    const gate = upstream.hold('/raw/other');
    expect((await get('/files/a')).status).toBe(502);
    await expect.poll(() => repository.flights()).toBe(0);
    upstream.serve('/raw/one', { body: 'one' });
    const retry = get('/files/a');
    await expect.poll(() => upstream.count('/raw/other')).toBe(2);
    gate.open();
    expect((await retry).status).toBe(200);
  });

  it('goes on where somebody else waits for it', async () => {
    const { upstream, get } = await openHarness({ side });
    upstream.serve('/files/a', { body: 'a' });
    upstream.serve('/raw/one', { status: 500 });
    upstream.serve('/raw/other', { body: 'other' });
    const gate = upstream.hold('/raw/other');
    const client = get('/raw/other');
    await gate.reached;
    expect((await get('/files/a')).status).toBe(502);
    gate.open();
    expect(await (await client).text()).toBe('other');
    expect(upstream.count('/raw/other')).toBe(1);
  });
});
