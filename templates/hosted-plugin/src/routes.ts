import { requireMethod, type PackageCoordinates, type RequestHead } from '@entrepot/core';
import type { Resource } from '@entrepot/core';

const PROJECT = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const VERSION = /^\d+\.\d+\.\d+(-[0-9a-z.]+)?$/;
const EXTENSION = '.tar.gz';
const INDEX = 'index.json';
const FILE_CLASSES = { GET: 'file', PUT: 'publish', DELETE: 'remove' } as const;

/**
 * Names what requests are for: `/<project>/index.json` and `/<project>/<project>-<version>.tar.gz`. Pure and total. Keys are made from
 * it, so every segment is matched whole.
 */
export function route(head: RequestHead): Resource | undefined {
  const { segments, trailingSlash } = head;
  const [project = '', file = ''] = segments;
  if (segments.length !== 2 || trailingSlash || !PROJECT.test(project)) return undefined;
  if (file === INDEX) {
    requireMethod(head, ['GET']);
    return { class: 'index', key: `${project}/${INDEX}` };
  }
  const version = versionIn(file, project);
  if (version === undefined) return undefined;
  return {
    class: FILE_CLASSES[requireMethod(head, ['GET', 'PUT', 'DELETE'])],
    key: `${project}/${file}`,
    coordinates: coordinatesOf(project, version),
  };
}

/** Gives the name of a release for policy, scanners and logs. */
export function coordinatesOf(project: string, version: string): PackageCoordinates {
  return { ecosystem: 'generic', name: project, version };
}

function versionIn(file: string, project: string): string | undefined {
  if (!file.startsWith(`${project}-`) || !file.endsWith(EXTENSION)) return undefined;
  const version = file.slice(project.length + 1, -EXTENSION.length);
  return VERSION.test(version) ? version : undefined;
}
