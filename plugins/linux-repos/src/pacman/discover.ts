import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';
import { sourcesOf, upstreamsOf } from '../shared/discover.js';

/**
 * The mirror that pacman on this machine asks first: `Server` with the part before `$repo`.
 * @param files of settings
 */
export async function discoverUpstreams(
  context: DiscoveryContext,
  files: readonly string[] = ['/etc/pacman.d/mirrorlist', '/etc/pacman.conf'],
): Promise<readonly DiscoveredUpstream[]> {
  const found = await Promise.all(files.map((file) => sourcesOf(file, readServers)));
  // The others are mirrors of it.
  return upstreamsOf(found.flat().slice(0, 1), "pacman's configuration", context);
}

/** Reads `Server = https://mirror.example.com/$repo/os/$arch`: pacman.conf(5). */
function readServers(text: string): string[] {
  return [...text.matchAll(/^[ \t]*Server[ \t]*=[ \t]*([^$\s]+)\/\$repo\//gm)].map(([, url = '']) => url);
}
