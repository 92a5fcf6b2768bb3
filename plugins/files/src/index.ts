import { defineProtocolPlugin } from '@entrepot/core';
import { clientSetup } from './client-setup.js';
import { FilesHosted } from './hosted.js';
import * as hosted from './hosted.js';
import { filesOptions, HOSTED_KEYS, PROXY_KEYS } from './options.js';
import { FilesProxy } from './proxy.js';
import * as proxy from './proxy.js';

export type { FilesOptions } from './options.js';

/** Any HTTP file server behind Entrepot, and hosted file repositories. */
export default defineProtocolPlugin({
  id: 'files',
  options: filesOptions,
  inject: {},
  names: { pattern: 'paths' },
  http: { otherBytes: 'escape' },
  clients: { setup: clientSetup },
  proxy: {
    classes: proxy.CLASSES,
    ownOptions: PROXY_KEYS,
    create: ({ options }) => new FilesProxy(options),
  },
  hosted: {
    classes: hosted.CLASSES,
    ownOptions: HOSTED_KEYS,
    create: ({ options, repository }) => new FilesHosted(options, repository.name),
  },
});
