import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Distribution, KNOWN_FORMATS } from '@entrepot/host';

/** The plugins that come with this package: all of ours. `loadConfig` of `@entrepot/host` takes them. */
export const DISTRIBUTION: Distribution = {
  formats: KNOWN_FORMATS,
  folder: dirname(fileURLToPath(import.meta.url)),
};
