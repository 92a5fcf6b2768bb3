import { packageUrl } from '@entrepot/core';
import type { Download } from '../drivers/sql/download-history.js';

/** What was downloaded, as a CycloneDX 1.5 document: each version once. */
export function billOfMaterials(downloads: readonly Download[], now: number): object {
  const components = new Map<string, object>();
  for (const { coordinates, digest } of downloads) {
    const purl = packageUrl(coordinates);
    const hashes =
      digest === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: digest.replace(/^sha256:/, '') }] };
    const { name, version = '' } = coordinates;
    components.set(`${purl} ${digest ?? ''}`, {
      type: 'library',
      'bom-ref': `${purl}#${components.size}`,
      name,
      version,
      purl,
      ...hashes,
    });
  }
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      timestamp: new Date(now).toISOString(),
      tools: { components: [{ type: 'application', name: 'entrepot' }] },
    },
    components: [...components.values()],
  };
}
