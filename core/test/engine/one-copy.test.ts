import { describe, expect, it } from 'vitest';
import { documentClass, type RenderRequest } from '../../src/index.js';
import { openHarness, withClasses, type Harness } from './harness.js';

const MINUTE = 60_000;

/** `/page` as the upstream has it, and `/length` of the same copy, which never asks for another one. */
const side = withClasses(
  {
    page: documentClass({
      about: 'a page, and its length',
      cache: {
        freshFor: MINUTE,
        oneCopy: true,
        except: ({ variant }) => (variant === undefined ? undefined : { freshFor: Infinity }),
      },
      reply: {
        mediaType: 'text/plain',
        render: async (_page: unknown, { content, resource }: RenderRequest) => {
          const bytes = Buffer.from(await content.bytes(1000));
          return { bytes: [resource.variant === undefined ? bytes : String(bytes.length)] };
        },
      },
    }),
  },
  {
    route: ({ segments }) => ({
      class: 'page',
      key: 'page',
      path: 'page',
      ...(segments[0] === 'length' && { variant: 'length' }),
    }),
  },
);

/** A cluster in which nobody else fetches. */
const cluster = {
  enter: async () => ({
    role: 'leader' as const,
    fence: { name: 'page', owner: 'this', generation: 1 },
    isFirst: true,
    offer: () => {},
    release: () => {},
  }),
};

async function text({ get }: Harness, path: string): Promise<string> {
  return await (await get(path)).text();
}

describe('one copy in several replicas', () => {
  it('is the same for a client whose requests come to different ones', async () => {
    const one = await openHarness({ side, cluster });
    const { upstream, blobs, entries } = one;
    const definition = { upstreams: [{ url: upstream.url }] };
    const two = await openHarness({ side, cluster, definition, shared: { blobs, entries } });
    upstream.serve('/page', { body: 'old' });
    expect([await text(one, '/page'), await text(two, '/length')]).toEqual(['old', '3']);
    upstream.serve('/page', { body: 'newer' });
    one.clock.advance(2 * MINUTE);
    expect(await text(one, '/page')).toBe('newer');
    // Its own copy would be fresh for ever, as a part of what the client has.
    two.clock.advance(2 * MINUTE);
    expect(await text(two, '/length')).toBe('5');
    expect(await text(two, '/page')).toBe('newer');
    expect(upstream.count('/page')).toBe(2);
  });

  it('is served from memory while the index cannot be read', async () => {
    const harness = await openHarness({ side, cluster });
    harness.upstream.serve('/page', { body: 'old' });
    expect(await text(harness, '/page')).toBe('old');
    harness.entries.find = async () => {
      throw new Error('the index is gone');
    };
    harness.clock.advance(2000);
    expect(await text(harness, '/page')).toBe('old');
  });
});
