import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';
import { sourcesOf, upstreamsOf } from '../shared/discover.js';

/**
 * The mirror that apk on this machine uses: repositories without the release and the name at their end.
 * @param file the settings of apk
 */
export async function discoverUpstreams(
  context: DiscoveryContext,
  file = '/etc/apk/repositories',
): Promise<readonly DiscoveredUpstream[]> {
  return upstreamsOf(await sourcesOf(file, readRepositories), "apk's configuration", context);
}

/** Reads lines such as `https://mirror.example.com/alpine/v3.20/main`, with a tag (`@edge`) before some. */
function readRepositories(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const url = /^(?:@\S+[ \t]+)?(https?:\/\/\S+)/.exec(line.trim())?.[1];
    return url === undefined ? [] : [url.replace(/\/(?:v\d+\.\d+|edge|latest-stable)\/[^/]+\/*$/, '')];
  });
}
