import { requireMethod, type PackageCoordinates, type RequestHead } from '@entrepot/core';
import type { Resource } from '@entrepot/core';
import type { AcmeOptions } from './options.js';

const PROJECT = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const VERSION = /^\d+\.\d+\.\d+(-[0-9a-z.]+)?$/;
const INDEX = 'index.json';

/**
 * Names what requests are for: `/<project>/index.json` and `/<project>/<project>-<version><extension>`. Pure and total; what is
 * let through here ends in keys and upstream paths, so every segment is matched whole.
 */
export function createRoute({ extension }: AcmeOptions): (head: RequestHead) => Resource | undefined {
  return (head) => {
    const { segments, trailingSlash } = head;
    const [project = '', file = ''] = segments;
    if (segments.length !== 2 || trailingSlash || !PROJECT.test(project)) return undefined;
    requireMethod(head, ['GET'], 'Acme projects can only be read');
    if (file === INDEX) return indexOf(project);
    const version = versionIn(file, project, extension);
    if (version === undefined) return undefined;
    return {
      class: 'release',
      key: releaseKey(project, file),
      path: `${project}/${encodeURIComponent(file)}`,
      coordinates: coordinatesOf(project, version),
    };
  };
}

/** Gives the key of a release file; the index describes it by that. */
export function releaseKey(project: string, file: string): string {
  return `${project}/${file}`;
}

/** Gives the name of a release for policy, scanners and logs. */
export function coordinatesOf(project: string, version: string): PackageCoordinates {
  return { ecosystem: 'generic', name: project, version };
}

/** Names the index of a project. Its coordinates have no version: they stand for the project as a whole. */
export function indexOf(project: string): Resource {
  return {
    class: 'index',
    key: releaseKey(project, INDEX),
    path: `${project}/${INDEX}`,
    coordinates: { ecosystem: 'generic', name: project },
  };
}

function versionIn(file: string, project: string, extension: string): string | undefined {
  if (!file.startsWith(`${project}-`) || !file.endsWith(extension)) return undefined;
  const version = file.slice(project.length + 1, -extension.length);
  return VERSION.test(version) ? version : undefined;
}
