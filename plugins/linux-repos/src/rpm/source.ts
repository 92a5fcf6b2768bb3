import { wordOf } from '../shared/listed.js';

/** The form that rpm compares, without an epoch of 0. */
export function versionOf(
  epoch: string | undefined,
  version: string | undefined,
  release: string | undefined,
): string | undefined {
  const prefix = epoch === undefined || epoch === '' || epoch === '0' ? '' : `${epoch}:`;
  return version === undefined || release === undefined ? undefined : wordOf(`${prefix}${version}-${release}`);
}

/** Reads `curl-7.88.1-10.el9.src.rpm`. Its epoch is not in it: that of what was built from it is mostly the same. */
export function sourceOf(
  file: string | undefined,
  epoch: string | undefined,
): { readonly source: string; readonly sourceVersion: string } | undefined {
  const stem = file?.replace(/\.(?:no)?src\.rpm$/, '');
  if (stem === undefined || stem === file) return undefined;
  const release = stem.lastIndexOf('-');
  const version = stem.lastIndexOf('-', release - 1);
  const source = wordOf(stem.slice(0, Math.max(version, 0)));
  const sourceVersion = versionOf(epoch, stem.slice(version + 1, release), stem.slice(release + 1));
  return source === undefined || sourceVersion === undefined ? undefined : { source, sourceVersion };
}
