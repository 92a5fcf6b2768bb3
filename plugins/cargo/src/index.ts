import { CLOCK, defineProtocolPlugin } from '@entrepot/core';
import { compileNamePattern } from '@entrepot/core/formats';
import { CLEANUP } from './cleanup.js';
import { clientSetup } from './client-setup.js';
import { indexPath } from './crate-name.js';
import { discoverUpstreams } from './discover.js';
import { challenge, credentials, renderError } from './errors.js';
import { HOSTED_CLASSES } from './hosted-classes.js';
import { CargoHosted } from './hosted.js';
import { cargoOptions, HOSTED_KEYS } from './options.js';
import { PROXY_CLASSES } from './proxy-classes.js';
import { CargoProxy } from './proxy.js';

export type { CargoOptions } from './options.js';

/** Registries of Rust crates with a sparse index: proxied, and hosted for `cargo publish`. */
export default defineProtocolPlugin({
  id: 'cargo',
  options: cargoOptions,
  inject: { clock: CLOCK },
  names: { pattern: namePattern },
  http: { credentials },
  clients: { discoverUpstreams: (context) => discoverUpstreams(context), setup: clientSetup },
  proxy: {
    classes: PROXY_CLASSES,
    create: ({ repository }) => new CargoProxy(repository),
    renderError,
    challenge,
    documentPath: ({ name }) => `/${indexPath(name)}`,
  },
  hosted: {
    classes: HOSTED_CLASSES,
    ownOptions: HOSTED_KEYS,
    create: ({ options, services }) => new CargoHosted(options, services.clock),
    renderError,
    challenge,
    documentPath: ({ name }) => `/${indexPath(name)}`,
    cleanup: CLEANUP,
  },
});

/** Patterns of grants: a crate is the same in any case. */
function namePattern(pattern: string): (name: string) => boolean {
  const matches = compileNamePattern(pattern.toLowerCase());
  return (name) => matches(name.toLowerCase());
}
