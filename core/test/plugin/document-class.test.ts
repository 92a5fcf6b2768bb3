import { expect, it } from 'vitest';
import { EntrepotError } from '../../src/index.js';
import { defineProtocolPlugin, documentClass, type Parsed } from '../../src/plugin/index.js';
import { openTestRepository } from '../../src/testing/index.js';
import { noOptions } from '../testing/crate-protocol.js';

const parse = async (): Promise<Parsed> => ({ weight: 1 });

it.each([
  ['and parsed', { parse }],
  ['and not parsed', {}],
])('verifies a document that is checked %s, and stores nothing that fails', async (_, more) => {
  const note = documentClass({
    about: 'Notes.',
    trust: {
      async verify(_resource, content) {
        const text = Buffer.from(await content.bytes(100)).toString();
        if (text !== 'genuine') throw new EntrepotError('integrity', `expected a genuine note, found ${text}`);
      },
    },
    ...more,
  });
  const plugin = defineProtocolPlugin({
    id: 'notes',
    options: noOptions,
    inject: {},
    proxy: {
      classes: { note },
      create: () => ({ route: ({ segments: [key = ''] }) => ({ class: 'note', key, path: key }) }),
    },
  });
  const { upstream, entries, ask, close } = await openTestRepository({ plugin });
  try {
    upstream.serve('/upstream/base/forged', { body: 'forged', mediaType: 'text/plain' });
    upstream.serve('/upstream/base/note', { body: 'genuine', mediaType: 'text/plain' });
    const { status, error } = await ask('/forged');
    expect(error !== undefined || status >= 500).toBe(true);
    expect(await entries.find('test', 'forged')).toBeUndefined();
    expect((await ask('/note')).status).toBe(200);
  } finally {
    await close();
  }
});
