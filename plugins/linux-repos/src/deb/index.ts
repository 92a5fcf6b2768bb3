import { defineProtocolPlugin } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { SigningKey } from '../shared/hosted/signing-key.js';
import { PROXY_KEYS } from '../shared/options.js';
import { proxySide, SERVICES } from '../shared/side.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { DEB } from './format.js';
import { CLEANUP } from './hosted/cleanup.js';
import { HOSTED_CLASSES } from './hosted/classes.js';
import { DebHosted } from './hosted/hosted.js';
import { HOSTED_KEYS } from './hosted/options.js';
import { debOptions, type DebOptions } from './options.js';
import { readPackageRows } from './package-rows.js';

export type { DebOptions } from './options.js';

/** Repositories of Debian packages, for apt: proxies of archives, and hosted ones. */
export default defineProtocolPlugin({
  id: 'deb',
  options: debOptions,
  inject: SERVICES,
  // apt asks flat repositories for `/./InRelease`, and `Acquire::http::Proxy` is how many machines are set up.
  http: { dotSegments: 'collapse', forwards: true },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    ...proxySide<DebOptions>(DEB, {
      pointers: 'InRelease, Release and Release.gpg',
      rows: {
        maker: new TableMaker(builtProgram(import.meta.url, 'package-worker', () => tableProgram(readPackageRows))),
        revision: 2,
      },
      freshFor: 120_000,
    }),
    ownOptions: PROXY_KEYS,
  },
  hosted: {
    classes: HOSTED_CLASSES,
    ownOptions: HOSTED_KEYS,
    create: async ({ options, repository, services: { clock } }) => {
      const signing = options.signing && (await SigningKey.open(options.signing, clock.now()));
      return new DebHosted(repository.name, options, clock, signing);
    },
    cleanup: CLEANUP,
  },
});
