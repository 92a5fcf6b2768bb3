import type { Clock } from './clock.js';
import type { Logger } from './logger.js';
import { createToken } from './token.js';

/** The services that a plugin may name in `inject`. */
export const LOGGER = createToken<Logger, 'repository'>('logger', 'repository');
export const CLOCK = createToken<Clock, 'root'>('clock', 'root');
