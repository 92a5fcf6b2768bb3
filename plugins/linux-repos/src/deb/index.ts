import { defineProtocolPlugin } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { repositoryOptions } from '../shared/options.js';
import { proxySide, SERVICES } from '../shared/side.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { DEB } from './format.js';
import { readPackageRows } from './package-rows.js';

/** Repositories of Debian packages, for apt. */
export default defineProtocolPlugin({
  id: 'deb',
  options: repositoryOptions,
  inject: SERVICES,
  // apt asks flat repositories for `/./InRelease`, and `Acquire::http::Proxy` is how many machines are set up.
  http: { dotSegments: 'collapse', forwards: true },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: proxySide(DEB, {
    pointers: 'InRelease, Release and Release.gpg',
    rows: {
      maker: new TableMaker(builtProgram(import.meta.url, 'package-worker', () => tableProgram(readPackageRows))),
      revision: 1,
    },
    freshFor: 120_000,
  }),
});
