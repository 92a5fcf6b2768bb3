import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Distribution } from '@entrepot/host';

/** The plugins that come with this package. `loadConfig` of `@entrepot/host` takes them. */
export const DISTRIBUTION: Distribution = {
  formats: {
    npm: '@entrepot/plugin-npm',
    deb: '@entrepot/plugin-linux-repos',
    files: '@entrepot/plugin-files',
    go: '@entrepot/plugin-go',
    helm: '@entrepot/plugin-helm',
    oci: '@entrepot/plugin-oci',
    pypi: '@entrepot/plugin-pypi',
  },
  folder: dirname(fileURLToPath(import.meta.url)),
};
