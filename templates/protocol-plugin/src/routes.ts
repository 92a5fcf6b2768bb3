import { EntrepotError, type DocumentResource, type RequestHead, type Resource } from '@entrepot/core';
import type { AcmeOptions } from './options.js';

const PROJECT = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const VERSION = /^\d+\.\d+\.\d+(-[0-9a-z.]+)?$/;
const INDEX = 'index.json';

/**
 * What requests mean: `/<project>/index.json` and `/<project>/<project>-<version><extension>`. Pure and total; what is
 * let through here ends in keys and upstream paths, so every segment is matched whole.
 */
export function createRouter({ extension }: AcmeOptions): (head: RequestHead) => Resource | undefined {
  return ({ method, segments, trailingSlash }) => {
    const [project = '', file = ''] = segments;
    if (segments.length !== 2 || trailingSlash || !PROJECT.test(project)) return undefined;
    if (method !== 'GET' && method !== 'HEAD') {
      throw new EntrepotError('method-not-allowed', 'Acme projects can only be read');
    }
    if (file === INDEX) return indexOf(project);
    const version = versionIn(file, project, extension);
    if (version === undefined) return undefined;
    return {
      kind: 'artifact',
      class: 'release',
      key: releaseKey(project, file),
      upstreamPath: `${project}/${encodeURIComponent(file)}`,
      filename: file,
      coordinates: coordinatesOf(project, version),
      describedBy: indexOf(project),
    };
  };
}

/** The key of a release file; `describe` names its promises by it. */
export function releaseKey(project: string, file: string): string {
  return `${project}/${file}`;
}

/** What a release is called for policy, scanners and logs. */
export function coordinatesOf(project: string, version: string) {
  return { ecosystem: 'generic', name: project, version };
}

function indexOf(project: string): DocumentResource {
  return {
    kind: 'document',
    class: 'index',
    key: releaseKey(project, INDEX),
    upstreamPath: `${project}/${INDEX}`,
    mediaType: 'application/json',
    // Anything else is a login page or an error page, and not an index.
    expectedMediaTypes: ['application/json'],
    rewritten: true,
  };
}

function versionIn(file: string, project: string, extension: string): string | undefined {
  if (!file.startsWith(`${project}-`) || !file.endsWith(extension)) return undefined;
  const version = file.slice(project.length + 1, -extension.length);
  return VERSION.test(version) ? version : undefined;
}
