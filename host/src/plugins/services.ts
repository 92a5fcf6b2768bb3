import { CLOCK, LOGGER, TRANSPORT, type Token } from '@entrepot/core';

/** Everything that a plugin may name in `inject`. A token of anything else is refused. */
export const PLUGIN_SERVICES: readonly Token<unknown>[] = [LOGGER, CLOCK, TRANSPORT];
