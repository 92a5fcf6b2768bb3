import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openHarness, testSide } from './harness.js';

const sum = (text: string, encoding: 'hex' | 'base64'): string => createHash('sha256').update(text).digest(encoding);

/** A repository whose paths have the sum of `named`, and whose index has that of `listed`. */
async function open(named: string, listed: string) {
  const side = {
    ...testSide,
    route: (head: Parameters<typeof testSide.route>[0]) => {
      const route = testSide.route(head);
      if (route === undefined || 'status' in route || route.class !== 'described') return route;
      return { ...route, integrity: [{ algorithm: 'sha256', hex: sum(named, 'hex') } as const] };
    },
  };
  const harness = await openHarness({ side });
  harness.upstream.serve('/index.json', { body: `described/a sha256-${sum(listed, 'base64')}\n` });
  return harness;
}

describe('an artifact that is asked for by a sum, and listed with one', () => {
  it('is served where they are the same', async () => {
    const { upstream, get } = await open('right', 'right');
    upstream.serve('/described/a', { body: 'right' });
    expect(await (await get('/described/a')).text()).toBe('right');
  });

  it.each(['one', 'other'])('is never served where they differ: the upstream has %s', async (body) => {
    const { upstream, get, entries } = await open('one', 'other');
    upstream.serve('/described/a', { body });
    expect((await get('/described/a')).status).toBe(502);
    expect(await entries.find('test', 'described/a')).toBeUndefined();
  });
});
