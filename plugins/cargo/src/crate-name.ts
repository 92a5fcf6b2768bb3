import type { PackageCoordinates } from '@entrepot/core';

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const VERSION =
  /^(?:0|[1-9]\d{0,19})\.(?:0|[1-9]\d{0,19})\.(?:0|[1-9]\d{0,19})(?:-[0-9A-Za-z.-]{1,128})?(?:\+[0-9A-Za-z.-]{1,128})?$/;

/** Whether a crate can be called so (The Cargo Book, "Index Format", "Name restrictions"). */
export function isCrateName(text: string): boolean {
  return NAME.test(text);
}

/** Whether `text` is a version as cargo reads it: three numbers, with a prerelease and build metadata. */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** The folder of a crate in an index: `ca/rg` for `cargo`, `3/f` for `foo`, `2`, `1`. */
export function indexFolder(name: string): string {
  if (name.length <= 2) return String(name.length);
  return name.length === 3 ? `3/${name[0]}` : `${name.slice(0, 2)}/${name.slice(2, 4)}`;
}

/** The path of a crate in an index, which is in lower case: `ca/rg/cargo`. */
export function indexPath(name: string): string {
  const file = name.toLowerCase();
  return `${indexFolder(file)}/${file}`;
}

/** Reads the name of a crate, in lower case, from a path of an index. `undefined`: no crate has that path. */
export function crateOfPath(segments: readonly string[]): string | undefined {
  const name = segments.at(-1) ?? '';
  return isCrateName(name) && segments.join('/') === indexPath(name) ? name : undefined;
}

export function coordinatesOf(name: string, version?: string): PackageCoordinates {
  return version === undefined ? { ecosystem: 'cargo', name } : { ecosystem: 'cargo', name, version };
}
