import type { PackageCoordinates } from '@entrepot/core';

/**
 * The coordinates of a package URL; `undefined`: it is none. Packages of a distribution get its release before their name, and
 * are named by their source (`distro`, `upstream`): `pkg:deb/debian/libcurl4?distro=debian-12&upstream=curl` is `debian-12/curl`.
 * Source: purl-spec, "How to parse a purl string".
 */
export function parsePackageUrl(text: string): PackageCoordinates | undefined {
  const match =
    /^pkg:\/*([A-Za-z][A-Za-z0-9.+-]*)\/([^?#@]*(?:@(?=[^/?#]*\/)[^?#@]*)*)(?:@([^?#]*))?(?:\?([^#]*))?/.exec(text);
  if (match === null) return undefined;
  try {
    const name = (match[2] as string)
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
      .join('/');
    const version = match[3] === undefined || match[3] === '' ? undefined : decodeURIComponent(match[3]);
    const ecosystem = (match[1] as string).toLowerCase();
    if (name === '') return undefined;
    const qualifiers = new URLSearchParams(match[4] ?? '');
    const distribution = qualifiers.get('distro');
    if (distribution === null) return { ecosystem, name, version };
    const source = qualifiers.get('upstream')?.split('@')[0] ?? name.slice(name.lastIndexOf('/') + 1);
    return { ecosystem, name: `${distribution}/${source}`, version };
  } catch {
    return undefined;
  }
}
