import { CLOCK, TRANSPORT } from '@entrepot/core';
import { openAdministration } from '../admin/administration.js';
import type { AdminConfig } from '../config/index.js';
import { DEFAULT_TRANSPORT } from '../config/schema.js';
import { openTransport } from '../drivers/upstream/open-transport.js';
import type { Scope } from './scope.js';
import { ADMIN_TOKEN, ADMINISTRATION } from './tokens.js';

/**
 * Services that authenticate administrators. `start` rejects with a `ConfigurationError` for a key file that cannot be
 * used.
 */
export function createAdministrationScope(root: Scope, config: AdminConfig): Scope {
  const scope = root.child('administration');
  scope.single(TRANSPORT, {}, () => openTransport(DEFAULT_TRANSPORT));
  scope.open(ADMINISTRATION, { clock: CLOCK, transport: TRANSPORT }, (services) =>
    openAdministration(config, { ...services, madeToken: () => root.get(ADMIN_TOKEN) }),
  );
  return scope;
}
