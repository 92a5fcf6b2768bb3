import { CLOCK, defineProtocolPlugin, LOGGER } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { classesOf } from '../shared/classes.js';
import { repositoryOptions } from '../shared/options.js';
import { RepositoryProxy } from '../shared/proxy.js';
import { OpenPgpSignatures } from '../shared/signatures.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { DEB } from './format.js';
import { readPackageRows } from './package-rows.js';

/** Repositories of Debian packages, for apt. */
export default defineProtocolPlugin({
  id: 'deb',
  options: repositoryOptions,
  inject: { clock: CLOCK, logger: LOGGER },
  // apt asks flat repositories for `/./InRelease`, and `Acquire::http::Proxy` is how many machines are set up.
  http: { dotSegments: 'collapse', forwards: true },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    classes: classesOf(DEB, {
      pointers: 'InRelease, Release and Release.gpg',
      rows: {
        maker: new TableMaker(builtProgram(import.meta.url, 'package-worker', () => tableProgram(readPackageRows))),
        revision: 1,
      },
      freshFor: 120_000,
    }),
    create: async ({ options, repository, services }) => {
      const signatures = await OpenPgpSignatures.open(options.signatures, services.logger);
      return new RepositoryProxy(DEB, options, repository, signatures, services.clock);
    },
  },
});
