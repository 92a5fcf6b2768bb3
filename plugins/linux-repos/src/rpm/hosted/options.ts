import { hostedOptionsOf } from '../../shared/hosted/options.js';

/** Options of hosted repositories alone. */
export const hostedOptions = hostedOptionsOf('repomd.xml');

/** The keys of options of hosted repositories alone. */
export const HOSTED_KEYS: readonly string[] = Object.keys(hostedOptions);
