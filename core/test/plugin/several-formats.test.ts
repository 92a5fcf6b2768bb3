import { expect, expectTypeOf, it } from 'vitest';
import { artifactClass, defineProtocolPlugin, documentClass, type AnyDeclaredPlugin } from '../../src/plugin/index.js';
import { openTestRepository } from '../../src/testing/index.js';
import { noOptions } from '../testing/crate-protocol.js';

const notes = defineProtocolPlugin({
  id: 'notes',
  options: noOptions,
  inject: {},
  proxy: {
    classes: { note: documentClass({ about: 'Notes.', parse: async () => ({ weight: 1 }) }) },
    create: () => ({ route: ({ segments: [key = ''] }) => ({ class: 'note', key, path: key }) }),
  },
});
const scans = defineProtocolPlugin({
  id: 'scans',
  options: noOptions,
  inject: {},
  proxy: {
    classes: { scan: artifactClass({ about: 'Scans.' }) },
    create: () => ({ depth: 1, route: ({ segments: [key = ''] }) => ({ class: 'scan', key, path: key }) }),
  },
});
/** The default export of a package. */
const plugins = [notes, scans] satisfies readonly AnyDeclaredPlugin[];

it('is typed, however different the formats of a package are', () => {
  expectTypeOf(plugins).toExtend<readonly AnyDeclaredPlugin[]>();
});

it.each(plugins.map((plugin) => [plugin.id, plugin] as const))('are tried one by one: %s', async (_id, plugin) => {
  const { upstream, ask, close } = await openTestRepository({ plugin });
  try {
    upstream.serve('/upstream/base/first', { body: 'first', mediaType: 'text/plain' });
    expect((await ask('/first')).body.toString()).toBe('first');
    expect((await ask('/second')).status).toBe(404);
  } finally {
    await close();
  }
});
