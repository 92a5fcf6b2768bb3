import type { Resource } from '@entrepot/core';
import { lookup } from 'mime-types';
import type { FilesOptions } from './options.js';

/** Finds the media type that the name of a file has by the options. `undefined`: what the upstream says. */
export function mediaTypeOf({ coordinates }: Resource, { types }: FilesOptions): string | undefined {
  const name = lastSegment(coordinates?.name).toLowerCase();
  const extension = Object.keys(types.byExtension)
    .filter((one) => name.endsWith(one) && name.length > one.length)
    .reduce((longest, one) => (one.length > longest.length ? one : longest), '');
  if (extension !== '') return types.byExtension[extension];
  return types.byName && name !== '' ? lookup(name) || undefined : undefined;
}

/** Gives the headers by which a browser saves a file under its name (RFC 6266 §4.1), where the options say so. */
export function dispositionOf(
  { coordinates }: Resource,
  { attachment }: FilesOptions,
): Readonly<Record<string, string>> | undefined {
  const name = lastSegment(coordinates?.name);
  if (!attachment || name === '') return undefined;
  return { 'Content-Disposition': `attachment; filename="${name.replaceAll(/["\\]/g, '\\$&')}"` };
}

/** The name of a file; empty for a directory. */
function lastSegment(path = ''): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
