import { defineProtocolPlugin } from '@entrepot/core';
import { builtProgram, TableMaker, tableProgram } from '@entrepot/core/formats';
import { SigningKey } from '../shared/hosted/signing-key.js';
import { proxySide, SERVICES } from '../shared/side.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { RPM } from './format.js';
import { HOSTED_CLASSES } from './hosted/classes.js';
import { CLEANUP } from './hosted/cleanup.js';
import { RpmHosted } from './hosted/hosted.js';
import { HOSTED_KEYS } from './hosted/options.js';
import { RPM_MIRRORS } from './own-mirrors.js';
import { RpmMirrors } from './mirrors.js';
import { LARGEST_MIRROR_LIST, readMirrorList } from './mirror-list.js';
import { PROXY_KEYS, rpmOptions, type RpmOptions } from './options.js';
import { readPrimaryRows } from './primary-rows.js';

export type { RpmOptions } from './options.js';

/** Repositories of RPM packages, for dnf and zypper: proxies, and hosted ones. */
export default defineProtocolPlugin({
  id: 'rpm',
  options: rpmOptions,
  inject: SERVICES,
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    ...proxySide<RpmOptions>(RPM, {
      pointers: 'repomd.xml, its signature and its key',
      rows: {
        maker: new TableMaker(builtProgram(import.meta.url, 'primary-worker', () => tableProgram(readPrimaryRows))),
        revision: 1,
      },
      freshFor: 120_000,
      ownMirrors: RPM_MIRRORS,
      mirrorLists: {
        largest: LARGEST_MIRROR_LIST,
        read: readMirrorList,
        open: ({ mirrorLists, mirrorHosts }) => new RpmMirrors(mirrorLists, mirrorHosts),
      },
    }),
    ownOptions: PROXY_KEYS,
  },
  hosted: {
    classes: HOSTED_CLASSES,
    ownOptions: HOSTED_KEYS,
    create: async ({ options, services: { clock } }) => {
      const signing = options.signing && (await SigningKey.open(options.signing, clock.now()));
      return new RpmHosted(options, clock, signing);
    },
    cleanup: CLEANUP,
  },
});
