import { withoutTrailingSlashes, type Upstream } from '@entrepot/core';
import { provenancePath } from './keys.js';
import type { Layout } from './layout.js';
import type { ProvenanceUrl } from './representation.js';

/**
 * Where clients find the provenance of a file. PEP 740 asks for an https URL, so a repository that is reached by plain
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
      const [project, version, filename] = (found?.slice(1) ?? []).map(decode);
      if (project !== undefined && version !== undefined && filename === file.filename) {
        return `${baseUrl}/${provenancePath(project, version, filename)}`;
      }
    }
    return url;
  };
}

const PATH = /^\/integrity\/([^/?#]+)\/([^/?#]+)\/([^/?#]+)\/provenance$/;

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
