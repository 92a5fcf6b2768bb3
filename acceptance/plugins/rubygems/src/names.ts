import type { PackageCoordinates, RequestHead, Resource, Route } from '@entrepot/core';

/** The first `-` before a digit ends the name; a platform (`java`, `x86_64-linux`) begins with a letter. */
const FULL_NAME = /^([\w.-]+?)-(\d[\dA-Za-z.]*)(?:-([A-Za-z][\w-]*))?$/;
const NAME = /^[\w.-]{1,200}$/;

/** Names a version for policy and scanners, whatever its platform; without a number, the gem as a whole. */
export function gemOf(name: string, number?: string): PackageCoordinates {
  return { ecosystem: 'gem', name, version: number?.split('-')[0] };
}

/** Prints the number of a version, with its platform unless that is Ruby. */
export function numberOf(version: string | null, platform: string | null): string {
  return platform === null || platform === 'ruby' ? `${version}` : `${version}-${platform}`;
}

/** Gives the keys, which are the paths, of the file of a gem and of its specification. */
export function keysOf(fullName: string) {
  return { gem: `gems/${fullName}.gem`, spec: `quick/Marshal.4.8/${fullName}.gemspec.rz` };
}

/** Names the list of the versions of a gem. */
export function infoOf(name: string): Resource {
  return { class: 'info', key: `info/${name}`, path: `info/${name}`, coordinates: gemOf(name) };
}

/** Names what can be read: the compact index, files of gems, specifications, and the indexes of older clients. */
export function readable({ segments, trailingSlash }: RequestHead): Route | undefined {
  const path = segments.join('/');
  const last = segments.at(-1) ?? '';
  // `gem` looks whether the server is there, and falls back to the older indexes where it is not.
  if (path === '') return { status: 200, body: 'RubyGems\n' };
  if (trailingSlash || !NAME.test(last)) return undefined;
  if (path === 'versions' || path === 'names') return { class: path, key: path, path };
  if (path === `info/${last}`) return infoOf(last);
  if (/^(?:latest_|prerelease_)?specs\.4\.8\.gz$/.test(path)) return { class: 'specs', key: path, path };
  const fullName = last.replace(/\.gem$|\.gemspec\.rz$/, '');
  const [, name, version] = FULL_NAME.exec(fullName) ?? [];
  const keys = keysOf(fullName);
  const of = path === keys.gem ? 'gem' : path === keys.spec ? 'spec' : undefined;
  if (name === undefined || of === undefined) return undefined;
  return { class: of, key: path, path, coordinates: gemOf(name, version), attributes: keys };
}
