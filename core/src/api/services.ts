import type { Clock } from './clock.js';
import type { Logger } from './logger.js';
import { createToken } from './token.js';
import type { Transport } from './transport.js';

/** The services that a plugin may name in `inject`. */
export const LOGGER = createToken<Logger, 'repository'>('logger', 'repository');
export const CLOCK = createToken<Clock, 'root'>('clock', 'root');
/** Requests beside what resources name: the token service of a forge. For those alone; what is served comes from the pipeline. */
export const TRANSPORT = createToken<Transport, 'repository'>('transport', 'repository');
