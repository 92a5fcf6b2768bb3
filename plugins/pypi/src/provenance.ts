import { withoutTrailingSlashes, type Content, type Upstream } from '@entrepot/core';
import { readJsonObject, SKIP } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';
import { provenancePath } from './keys.js';
import type { Layout } from './layout.js';
import type { PageFile } from './page-file.js';
import { decodeSegment } from './segment.js';

const PATH = /^\/integrity\/([^/?#]+)\/([^/?#]+)\/([^/?#]+)\/provenance$/;

/** Gives the URL of a provenance object for clients; the upstream's own where it is not served here. */
export type ProvenanceUrl = (url: string, file: PageFile, baseUrl: string) => string;

/** Checks that a body is a provenance object (PEP 740). @throws PageFormatError, JsonFormatError */
export async function checkProvenance(content: Content): Promise<void> {
  const found: { bundles?: unknown } = {};
  await readJsonObject(content, (key) =>
    key === 'attestation_bundles' ? (value) => void (found.bundles = value) : SKIP,
  );
  if (!Array.isArray(found.bundles)) throw new PageFormatError('it has no attestation bundles');
}

/**
 * Says where clients find the provenance of a file. PEP 740 asks for an https URL, so a repository that is reached by plain
 * http passes the upstream's own on; so does one whose upstream keeps them where they are not asked for.
 */
export function createProvenanceUrl(
  upstreams: readonly Upstream[],
  layoutOf: (scope: string | undefined) => Layout,
): ProvenanceUrl {
  const roots = upstreams.filter(({ scope }) => layoutOf(scope).isRoot).map(({ url }) => withoutTrailingSlashes(url));
  return (url, file, baseUrl) => {
    if (!baseUrl.startsWith('https:')) return url;
    for (const root of roots) {
      const found = url.startsWith(`${root}/integrity/`) ? PATH.exec(url.slice(root.length)) : null;
      const [project, version, filename] = (found?.slice(1) ?? []).map(decodeSegment);
      if (project !== undefined && version !== undefined && filename === file.filename) {
        return `${baseUrl}/${provenancePath(project, version, filename)}`;
      }
    }
    return url;
  };
}
