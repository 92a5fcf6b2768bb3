import { defineProtocolPlugin } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { repositoryOptions } from '../shared/options.js';
import { proxySide, SERVICES } from '../shared/side.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { RPM } from './format.js';
import { readPrimaryRows } from './primary-rows.js';

/** Repositories of RPM packages, for dnf and zypper. */
export default defineProtocolPlugin({
  id: 'rpm',
  options: repositoryOptions,
  inject: SERVICES,
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: proxySide(RPM, {
    pointers: 'repomd.xml, its signature and its key',
    rows: {
      maker: new TableMaker(builtProgram(import.meta.url, 'primary-worker', () => tableProgram(readPrimaryRows))),
      revision: 1,
    },
    freshFor: 120_000,
  }),
});
