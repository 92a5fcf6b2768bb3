import { CLOCK, defineProtocolPlugin, LOGGER } from '@entrepot/core';
import { CLASSES } from './classes.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { debOptions } from './options.js';
import { DebProxy } from './proxy.js';
import { Signatures } from './signatures.js';

export type { DebOptions } from './options.js';

/** Repositories of Debian packages, for apt. */
export default defineProtocolPlugin({
  id: 'deb',
  options: debOptions,
  inject: { clock: CLOCK, logger: LOGGER },
  // apt asks flat repositories for `/./InRelease`, and `Acquire::http::Proxy` is how many machines are set up.
  http: { dotSegments: 'collapse', forwards: true },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    classes: CLASSES,
    create: async ({ options, repository, services }) => {
      const signatures = await Signatures.open(options.signatures, services.logger);
      return new DebProxy(options, repository, signatures, services.clock);
    },
  },
});
