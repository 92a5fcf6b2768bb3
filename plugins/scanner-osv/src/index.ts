import { CLOCK, defineScannerPlugin, LOGGER, TRANSPORT } from '@entrepot/core';
import { ApiScanner } from './api-scanner.js';
import { Downloads, isUrl } from './download.js';
import { traitsOf, registryTypes } from './ecosystems.js';
import { ExploitLists } from './exploit-lists.js';
import { folderSource } from './folder-source.js';
import { LocalScanner } from './local-scanner.js';
import { MirrorSource } from './mirror-source.js';
import { osvOptions } from './options.js';

/** Vulnerabilities and malware by OSV records: from dumps, judged on this machine, or from an OSV API. */
export default defineScannerPlugin({
  id: 'osv',
  options: osvOptions,
  inject: { logger: LOGGER, clock: CLOCK, transport: TRANSPORT },
  create({ options, services: { logger, clock, transport } }) {
    const { from, api, ecosystems, directory, fullImportEvery, kev, epss } = options;
    const downloads = new Downloads(transport);
    const lists = new ExploitLists({ kev, epss }, downloads);
    if (api !== undefined) return new ApiScanner(new URL(api), downloads, clock, lists);
    const path = from as string;
    const source = isUrl(path)
      ? new MirrorSource(new URL(path), downloads, ecosystems)
      : folderSource(path, ecosystems);
    const expected = ecosystems?.flatMap((ecosystem) => traitsOf(ecosystem)?.type ?? []) ?? registryTypes();
    return new LocalScanner({ directory, source, expected, lists, fullImportEvery, clock, logger });
  },
});

export type { OsvOptions } from './options.js';
