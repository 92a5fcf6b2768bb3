import { defineProtocolPlugin } from '@entrepot/core';
import { CLEANUP } from './cleanup.js';
import { clientSetup } from './client-setup.js';
import { FilesHosted, CLASSES as HOSTED_CLASSES } from './hosted.js';
import { filesOptions, HOSTED_KEYS, PROXY_KEYS } from './options.js';
import { FilesProxy, CLASSES as PROXY_CLASSES } from './proxy.js';

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
    classes: PROXY_CLASSES,
    ownOptions: PROXY_KEYS,
    create: ({ options }) => new FilesProxy(options),
  },
  hosted: {
    classes: HOSTED_CLASSES,
    ownOptions: HOSTED_KEYS,
    create: ({ options, repository }) => new FilesHosted(options, repository.name),
    cleanup: CLEANUP,
  },
});
