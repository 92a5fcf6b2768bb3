import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { artifactClass, documentClass, parseHex, type Content } from '../../src/index.js';
import { malformed } from '../../src/formats/index.js';
import { FakeUpstream } from '../../src/testing/index.js';
import { digestOf } from './addressed-side.js';
import { openHarness, parsedOf, withClasses, type Harness } from './harness.js';

const SMALL = Buffer.from('the bytes');
const LARGE = randomBytes(300_000);

/** A repository with two mirrors of an artifact with a sum, and of a document that has to begin with `{`. */
async function open(bytes: Buffer): Promise<Harness & { readonly other: FakeUpstream }> {
  const other = await FakeUpstream.start();
  const { upstream: first } = await openHarness();
  const integrity = [parseHex('sha256', digestOf(bytes).slice('sha256:'.length))!];
  const side = withClasses(
    {
      file: artifactClass({ about: 'a file' }),
      index: documentClass({
        about: 'an index',
        cache: { freshFor: 0 },
        async parse(content: Content) {
          if (Buffer.from(await content.bytes(1000)).toString()[0] !== '{') throw malformed('the index', 'no object');
          return parsedOf(new Map());
        },
      }),
    },
    {
      route: ({ segments: [name = ''] }) =>
        name === 'file'
          ? { class: 'file', key: name, path: name, integrity }
          : { class: 'index', key: name, path: name },
    },
  );
  const definition = { upstreams: [{ url: first.url }, { url: other.url }] };
  return { ...(await openHarness({ side, definition })), upstream: first, other };
}

const asked = ({ requests }: FakeUpstream): number => requests.length;

describe('a mirror with wrong bytes', () => {
  it('is passed over while nobody has seen them', async () => {
    const { get, upstream, other, landed, clock } = await open(SMALL);
    upstream.serve('/file', { body: 'the bytez' });
    other.serve('/file', { body: SMALL });
    const reply = await get('/file');
    expect([reply.status, (await reply.bytes()).equals(SMALL)]).toEqual([200, true]);
    await landed();
    expect([asked(upstream), asked(other)]).toEqual([1, 1]);
    // It is asked last for what it got wrong, for a while.
    upstream.serve('/index', { body: '<html>' });
    other.serve('/index', { body: '{}' });
    for (const expected of [2, 2, 3]) {
      if (expected === 3) clock.advance(61_000);
      expect(await (await get('/index')).text()).toBe('{}');
      expect(asked(upstream)).toBe(expected);
    }
  });

  it('may lack some of the bytes, or send more', async () => {
    for (const wrong of ['the', 'the bytes and more']) {
      const { get, upstream, other } = await open(SMALL);
      upstream.serve('/file', { body: wrong });
      other.serve('/file', { body: SMALL });
      expect((await (await get('/file')).bytes()).equals(SMALL)).toBe(true);
    }
  });

  it('breaks the connection of who has seen some, and is not asked again', async () => {
    const { get, upstream, other } = await open(LARGE);
    const wrong = Buffer.from(LARGE);
    wrong[10] = (wrong[10] as number) ^ 1;
    upstream.serve('/file', { body: wrong });
    other.serve('/file', { body: LARGE });
    await expect((await get('/file')).bytes()).rejects.toThrow();
    expect((await (await get('/file')).bytes()).equals(LARGE)).toBe(true);
    expect([asked(upstream), asked(other)]).toEqual([1, 1]);
  });

  it('is asked after one whose fault is older, where all have sent some', async () => {
    const { get, upstream, other } = await open(SMALL);
    upstream.serve('/index', { body: '<html>' });
    other.serve('/index', { body: '<html>' });
    expect((await get('/index')).status).toBe(502);
    other.serve('/index', { body: '{}' });
    expect(await (await get('/index')).text()).toBe('{}');
    // Its fault is the newer one.
    expect([asked(upstream), asked(other)]).toEqual([2, 2]);
    expect(await (await get('/index')).text()).toBe('{}');
    expect([asked(upstream), asked(other)]).toEqual([2, 3]);
  });

  it('is an error where the others are no better', async () => {
    const { get, upstream, other, entries } = await open(SMALL);
    upstream.serve('/file', { body: 'the bytez' });
    other.serve('/file', { body: 'two bytes' });
    expect((await get('/file')).status).toBe(502);
    expect(await entries.find('test', 'file')).toBeUndefined();
    expect([asked(upstream), asked(other)]).toEqual([1, 1]);
  });
});
