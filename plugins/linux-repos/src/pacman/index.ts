import { defineProtocolPlugin } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { repositoryOptions } from '../shared/options.js';
import { proxySide, SERVICES } from '../shared/side.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { PACMAN } from './format.js';
import { readDatabaseRows } from './db-rows.js';

/** Repositories of Arch Linux, for pacman. */
export default defineProtocolPlugin({
  id: 'pacman',
  options: repositoryOptions,
  inject: SERVICES,
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: proxySide(PACMAN, {
    pointers: 'Databases and their signatures',
    rows: {
      maker: new TableMaker(builtProgram(import.meta.url, 'db-worker', () => tableProgram(readDatabaseRows))),
      revision: 1,
    },
    freshFor: 60_000,
    refreshInterval: 120_000,
  }),
});
