import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  artifactClass,
  documentClass,
  EntrepotError,
  parseHex,
  type ProduceContext,
  type ProducedFile,
  type ReadContent,
  type Resource,
} from '../../src/index.js';
import { FakeUpstream } from '../../src/testing/index.js';
import { openHarness, withClasses } from './harness.js';

const mediaType = 'text/plain';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const textOf = async (content: ReadContent): Promise<string> => Buffer.from(await content.bytes(10_000)).toString();

async function fileOf({ folder }: ProduceContext, key: string, text: string): Promise<readonly ProducedFile[]> {
  const path = join(folder, 'made');
  await writeFile(path, text);
  return [{ key, path, mediaType }];
}

describe('a document that several upstreams have a part of', () => {
  const SCOPES = ['first', 'second'];
  /** `/list` has the lines of `/list` of each upstream. */
  const side = withClasses(
    {
      part: documentClass({ about: 'the list of one upstream', cache: { freshFor: 1000, negativeFor: 1000 } }),
      list: documentClass({
        about: 'the lists of all upstreams',
        cache: { freshFor: 1000 },
        upstream: {
          produce: {
            async make({ key }, context) {
              const parts = SCOPES.map(async (scope) => {
                try {
                  return await textOf(await context.read({ class: 'part', key: `${scope}/list`, path: 'list', scope }));
                } catch (error) {
                  if (error instanceof EntrepotError && error.kind === 'not-found') return '';
                  throw error;
                }
              });
              const lines = (await Promise.all(parts)).flatMap((text) => text.split('\n').filter(Boolean));
              return await fileOf(context, key, [...new Set(lines)].join('\n'));
            },
          },
        },
      }),
    },
    { route: () => ({ class: 'list', key: 'list' }) },
  );

  it('is made of them, and renewed as they are', async () => {
    const other = await FakeUpstream.start();
    const base = await openHarness();
    const upstreams = [
      { url: base.upstream.url, scope: 'first' },
      { url: other.url, scope: 'second' },
    ];
    const { get, clock } = await openHarness({ side, definition: { upstreams } });
    base.upstream.serve('/list', { body: 'a\nb\n' });
    expect(await (await get('/list')).text()).toBe('a\nb');
    other.serve('/list', { body: 'b\nc\n' });
    clock.advance(2000);
    expect(await (await get('/list')).text()).toBe('a\nb\nc');
    await other.close();
    clock.advance(2000);
    // The part that cannot be had is the cached one.
    expect(await (await get('/list')).text()).toBe('a\nb\nc');
  });
});

describe('a document that names others by their sums', () => {
  const list = (sum: string): Resource => {
    const integrity = parseHex('sha256', sum);
    return { class: 'list', key: `by-hash/${sum}`, path: `by-hash/${sum}`, integrity: integrity && [integrity] };
  };
  /** `/release` states the sums of all lists. It is replaced once all of them are here. */
  const side = withClasses(
    {
      stated: documentClass({ about: 'the sums of the upstream', cache: { freshFor: 0 } }),
      list: artifactClass({ about: 'a list, by its sum' }),
      release: documentClass({
        about: 'the sums of lists that are all here',
        cache: { freshFor: 1000 },
        upstream: {
          produce: {
            async make({ key }, context) {
              const stated = await textOf(await context.read({ class: 'stated', key: 'stated', path: 'release' }));
              await Promise.all(stated.split('\n').map(async (sum) => await context.read(list(sum))));
              return await fileOf(context, key, stated);
            },
          },
        },
      }),
    },
    {
      route: ({ segments: [name, sum = ''] }) =>
        name === 'release' ? { class: 'release', key: 'release' } : list(sum),
    },
  );

  it('is replaced with all of them at once, or not at all', async () => {
    const { get, upstream, clock } = await openHarness({ side });
    const publish = (...lists: string[]): void => {
      upstream.serve('/release', { body: lists.map(sha256).join('\n') });
      for (const text of lists) upstream.serve(`/by-hash/${sha256(text)}`, { body: text });
    };
    publish('one', 'two');
    expect(await (await get('/release')).text()).toBe([sha256('one'), sha256('two')].join('\n'));
    publish('one', 'three');
    upstream.serve(`/by-hash/${sha256('three')}`, { status: 503 });
    clock.advance(2000);
    const stale = await get('/release');
    expect([stale.outcome.name, await stale.text()]).toEqual(['stale', [sha256('one'), sha256('two')].join('\n')]);
    publish('one', 'three');
    clock.advance(10_000);
    expect(await (await get('/release')).text()).toBe([sha256('one'), sha256('three')].join('\n'));
    await upstream.goOffline();
    for (const text of ['one', 'two', 'three']) expect(await (await get(`/by-hash/${sha256(text)}`)).text()).toBe(text);
  });
});
