import { defineProtocolPlugin, type Integrity } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { repositoryOptions } from '../shared/options.js';
import { proxySide, SERVICES } from '../shared/side.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { APK } from './format.js';
import { readIndexRows } from './index-rows.js';
import { checkPackage } from './package-check.js';
import { ApkSignatures } from './signature.js';

/** Repositories of Alpine Linux, for apk. */
export default defineProtocolPlugin({
  id: 'apk',
  options: repositoryOptions,
  inject: SERVICES,
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: proxySide(
    APK,
    {
      pointers: 'APKINDEX.tar.gz',
      rows: {
        maker: new TableMaker(builtProgram(import.meta.url, 'index-worker', () => tableProgram(readIndexRows))),
        revision: 1,
      },
      freshFor: 120_000,
      verifyPackage: async ({ attributes }, content) => {
        const { filename, control } = attributes as { filename: string; control: Integrity };
        await checkPackage(content, control, filename);
      },
    },
    ({ mode, keyrings }, logger) => ApkSignatures.open({ mode, keys: keyrings }, logger),
  ),
});
