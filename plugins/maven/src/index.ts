import { CLOCK, defineProtocolPlugin, LOGGER } from '@entrepot/core';
import { CLEANUP } from './cleanup.js';
import { clientSetup } from './client-setup.js';
import { discoverUpstreams } from './discover.js';
import { HOSTED_CLASSES } from './hosted-classes.js';
import { MavenHosted } from './hosted.js';
import { HOSTED_KEYS, mavenOptions, PROXY_KEYS } from './options.js';
import { PROXY_CLASSES } from './proxy-classes.js';
import { MavenProxy } from './proxy.js';

export type { MavenOptions } from './options.js';

/** Maven repositories, for Maven, Gradle, sbt and coursier: proxies, and hosted ones. */
export default defineProtocolPlugin({
  id: 'maven',
  options: mavenOptions,
  inject: { clock: CLOCK, logger: LOGGER },
  names: { pattern: 'paths' },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    classes: PROXY_CLASSES,
    ownOptions: PROXY_KEYS,
    create: ({ options, repository, services }) => new MavenProxy(options, repository, services),
    documentPath: ({ name }) => `/${name.replaceAll('.', '/')}/maven-metadata.xml`,
  },
  hosted: {
    classes: HOSTED_CLASSES,
    ownOptions: HOSTED_KEYS,
    create: ({ options }) => new MavenHosted(options),
    documentPath: ({ name }) => `/${name.replaceAll('.', '/')}/maven-metadata.xml`,
    cleanup: CLEANUP,
  },
});
