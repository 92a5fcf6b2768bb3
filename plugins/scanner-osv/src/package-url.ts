import type { PackageCoordinates } from '@entrepot/core';

/** The longest package URL, since any client may send one. */
const LONGEST = 4096;

/**
 * The coordinates of a package URL; `undefined`: it is none. Packages of a distribution get its release before their name, and
 * are named by their source (`distro`, `upstream`): `pkg:deb/debian/libcurl4?distro=debian-12&upstream=curl` is `debian-12/curl`.
 * Source: purl-spec, "How to parse a purl string".
 */
export function parsePackageUrl(text: string): PackageCoordinates | undefined {
  const match = text.length > LONGEST ? null : /^pkg:\/*([A-Za-z][A-Za-z0-9.+-]*)\/([^?#]*)(?:\?([^#]*))?/.exec(text);
  if (match === null) return undefined;
  const [, type, path, query] = match as unknown as [string, string, string, string | undefined];
  // An `@` before the last segment is part of a name: npm's scopes are written so, too.
  const at = path.indexOf('@', path.lastIndexOf('/') + 1);
  try {
    const name = (at === -1 ? path : path.slice(0, at))
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
      .join('/');
    const version = at === -1 || at === path.length - 1 ? undefined : decodeURIComponent(path.slice(at + 1));
    const ecosystem = type.toLowerCase();
    if (name === '') return undefined;
    const qualifiers = new URLSearchParams(query ?? '');
    const distribution = qualifiers.get('distro');
    if (distribution === null) return { ecosystem, name, version };
    const source = qualifiers.get('upstream')?.split('@')[0] ?? name.slice(name.lastIndexOf('/') + 1);
    return { ecosystem, name: `${distribution}/${source}`, version };
  } catch {
    return undefined;
  }
}
