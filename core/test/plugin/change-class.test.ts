import { expect, it } from 'vitest';
import { artifactClass, changeClass, defineProtocolPlugin } from '../../src/plugin/index.js';
import { openTestRepository } from '../../src/testing/index.js';
import { noOptions } from '../testing/crate-protocol.js';

const bounds = { of: 'file', maxBytes: 100 };

/** A repository whose puts are made by a hook, and whose deletions are made by core. */
const plugin = defineProtocolPlugin({
  id: 'shelf',
  options: noOptions,
  inject: {},
  hosted: {
    classes: {
      file: artifactClass({ about: 'Files.' }),
      publish: changeClass({
        about: 'Uploads.',
        action: 'put',
        bounds,
        make: async ({ key }) => ({ create: [{ key, mediaType: 'text/plain' }] }),
      }),
      remove: changeClass({ about: 'Deletions.', action: 'delete', bounds }),
    },
    create: () => ({
      route: ({ method, segments }) => ({
        class: method === 'PUT' ? 'publish' : method === 'DELETE' ? 'remove' : 'file',
        key: segments.join('/'),
      }),
    }),
  },
});

it('removes an entry that is there, and says that another one is not, also where other changes have hooks', async () => {
  const { ask, close } = await openTestRepository({ plugin, definition: { kind: 'hosted' } });
  try {
    expect((await ask({ method: 'DELETE', path: '/a' })).status).toBe(404);
    expect((await ask({ method: 'PUT', path: '/a', body: 'bytes' })).status).toBe(201);
    expect((await ask({ method: 'DELETE', path: '/a' })).status).toBe(204);
    expect((await ask('/a')).status).toBe(404);
    expect((await ask({ method: 'DELETE', path: '/a' })).status).toBe(404);
  } finally {
    await close();
  }
});
