import { randomUUID } from 'node:crypto';
import { packageUrl } from '@entrepot/core';
import type { Download } from '../drivers/sql/download-history.js';

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  /** SHA-256, in hex. */
  readonly sum: string | undefined;
}

/** The forms that a bill of materials comes in. */
export const BILLS = { cyclonedx: cycloneDx, spdx } as const;

/** A format of bills of materials. */
export type BillForm = keyof typeof BILLS;

/** Lists downloads as a CycloneDX 1.5 document, each version once. */
function cycloneDx(downloads: readonly Download[], now: number): object {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      timestamp: new Date(now).toISOString(),
      tools: { components: [{ type: 'application', name: 'entrepot' }] },
    },
    components: componentsOf(downloads).map(({ name, version, purl, sum }, index) => ({
      type: 'library',
      'bom-ref': `${purl}#${index}`,
      name,
      version,
      purl,
      ...(sum !== undefined && { hashes: [{ alg: 'SHA-256', content: sum }] }),
    })),
  };
}

/** The same as an SPDX 2.3 document. */
function spdx(downloads: readonly Download[], now: number): object {
  const packages = componentsOf(downloads).map(({ name, version, purl, sum }, index) => ({
    SPDXID: `SPDXRef-Package-${index}`,
    name,
    ...(version !== '' && { versionInfo: version }),
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
    ...(sum !== undefined && { checksums: [{ algorithm: 'SHA256', checksumValue: sum }] }),
  }));
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: 'downloads',
    documentNamespace: `urn:uuid:${randomUUID()}`,
    // Whole seconds, as the specification has it.
    creationInfo: { created: new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'), creators: ['Tool: entrepot'] },
    packages,
    relationships: packages.map(({ SPDXID }) => ({
      spdxElementId: 'SPDXRef-DOCUMENT',
      relationshipType: 'DESCRIBES',
      relatedSpdxElement: SPDXID,
    })),
  };
}

function componentsOf(downloads: readonly Download[]): readonly Component[] {
  const components = new Map<string, Component>();
  for (const { coordinates, digest } of downloads) {
    const purl = packageUrl(coordinates);
    const { name, version = '' } = coordinates;
    components.set(`${purl} ${digest ?? ''}`, { name, version, purl, sum: digest?.replace(/^sha256:/, '') });
  }
  return [...components.values()];
}
