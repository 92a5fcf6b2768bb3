import { defineProtocolPlugin } from '@entrepot/core';
import { attestations, audit, keys, packument, search, tarball, version } from './classes.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { renderError } from './errors.js';
import { npmOptions } from './options.js';
import { NpmProxy } from './routes.js';

/** npm registries: packuments, tarballs, search, audit, signatures and attestations. */
export default defineProtocolPlugin({
  id: 'npm',
  options: npmOptions,
  inject: {},
  names: { pattern: 'paths' },
  // A registry that is configured with a slash at its end: corepack asks for `//yarn`.
  http: { dotSegments: 'collapse' },
  clients: { discoverUpstreams, setup: clientSetup },
  proxy: {
    classes: { packument, version, tarball, attestations, keys, search, audit },
    create: ({ options, repository }) => new NpmProxy(repository, options),
    documentPath: ({ name }) => `/${encodeURIComponent(name)}`,
    renderError,
  },
});
