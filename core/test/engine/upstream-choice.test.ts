import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { artifactClass, defineProtocolPlugin, documentClass } from '../../src/index.js';
import { FakeUpstream, openTestRepository } from '../../src/testing/index.js';

const sum = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest('hex');
const NOTHING = {
  '~standard': { version: 1 as const, vendor: 'test', validate: () => ({ value: {} }) },
};

/** A plugin whose first segment says which of two upstreams are asked, and which tells sums of its files. */
async function open() {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  const upstreams = ['one', 'two'].map((place) => ({ url: `${upstream.url}/${place}` }));
  for (const place of ['one', 'two']) upstream.serve(`/${place}/a`, { body: place });
  const plugin = defineProtocolPlugin({
    id: 'chosen',
    options: NOTHING,
    inject: {},
    proxy: {
      classes: {
        file: artifactClass({
          about: 'files',
          upstream: { order: 'origins' },
          reply: { sumHeaders: { sha1: 'X-Checksum-SHA1', sha256: 'X-Checksum-SHA256' } },
        }),
        sum: documentClass({
          about: 'sums',
          upstream: {
            produce: {
              async make({ key, path }, { read, folder }) {
                const file = await read({ class: 'file', key: 'file', path: path ?? '' });
                await writeFile(`${folder}/sum`, file.headers['x-checksum-sha1'] ?? 'none');
                return [{ key, path: `${folder}/sum`, mediaType: 'text/plain' }];
              },
            },
          },
        }),
      },
      create: () => ({
        route({ segments: [which = '', name = ''] }) {
          if (which === 'sum') return { class: 'sum', key: 'sum', path: name };
          const among = { all: undefined, none: [], second: [upstreams[1]?.url ?? ''] }[which];
          return { class: 'file', key: which === 'all' ? 'file' : `${which}/${name}`, path: name, among };
        },
      }),
    },
  });
  const repository = await openTestRepository({ plugin, definition: { upstreams } });
  onTestFinished(() => repository.close());
  return { ask: repository.ask, upstream };
}

describe('the upstreams that a resource names', () => {
  it('are the only ones that are asked', async () => {
    const { ask, upstream } = await open();
    expect((await ask('/second/a')).body.toString()).toBe('two');
    expect((await ask('/none/a')).status).toBe(404);
    expect((await ask('/all/a')).body.toString()).toBe('one');
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/two/a', '/one/a']);
  });
});

describe('headers with sums', () => {
  it('come with what is kept, and with what hooks read', async () => {
    const { ask, upstream } = await open();
    await ask('/all/a');
    const kept = await ask('/all/a');
    expect(kept.headers['x-checksum-sha1']).toBe(sum('sha1', 'one'));
    expect(kept.headers['x-checksum-sha256']).toBe(sum('sha256', 'one'));
    expect((await ask('/sum/a')).body.toString()).toBe(sum('sha1', 'one'));
    expect(upstream.requests).toHaveLength(1);
  });
});
