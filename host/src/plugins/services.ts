import { CLOCK, LOGGER, TRANSPORT, type Token } from '@entrepot/core';

/** Everything that a plugin may name in `inject`. A token of anything else is refused. */
export const PLUGIN_SERVICES: readonly Token<unknown>[] = [LOGGER, CLOCK, TRANSPORT];

/** Everything that a store of blobs may name in `inject`: it brings the client of its store itself. */
export const STORE_SERVICES: readonly Token<unknown>[] = [LOGGER, CLOCK];
