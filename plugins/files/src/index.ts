import { defineProtocolPlugin } from '@entrepot/core/plugin';
import { clientSetup } from './client-setup.js';
import { FilesHosted } from './hosted.js';
import * as hosted from './hosted.js';
import { filesOptions, HOSTED_KEYS, PROXY_KEYS, requireKnown } from './options.js';
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
    create({ options, repository }) {
      requireKnown(options, HOSTED_KEYS, repository);
      return new FilesProxy(options);
    },
  },
  hosted: {
    classes: hosted.CLASSES,
    create({ options, repository }) {
      requireKnown(options, PROXY_KEYS, repository);
      return new FilesHosted(options, repository.name);
    },
  },
});
