import { homedir } from 'node:os';
import { printableUrl, urlAuthorization, withoutTrailingSlashes } from '@entrepot/core';
import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';
import type { FoundIndex, Surroundings } from './client-settings.js';
import { isSimpleUrl } from './layout.js';
import { readPipIndexes } from './pip-settings.js';
import { readUvIndexes } from './uv-settings.js';

/**
 * The indexes that pip and uv on this machine would use: pip's main index, else uv's, else the one that is built into pip;
 * before it the extra ones of both, since names in an index of one's own come first. Settings that cannot be read are
 * passed over. Nothing is started where a setting says enough; else pip's interpreter is, once.
 */
export async function discoverUpstreams(
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
  surroundings: Surroundings = { env: process.env, home: homeDirectory(), platform: process.platform, root: '/' },
): Promise<readonly DiscoveredUpstream[]> {
  const settings = await readUvIndexes(surroundings);
  const isOther = ({ url }: FoundIndex): boolean => !isOwn(url);
  const uv = {
    main: settings.main !== undefined && isOther(settings.main) ? settings.main : undefined,
    extra: settings.extra.filter(isOther),
  };
  const pip = await readPipIndexes(surroundings, uv.main === undefined, isOwn);
  const main = pip.main ?? uv.main ?? pip.builtIn;
  if (main === undefined) return [];
  const found = new Map<string, DiscoveredUpstream>();
  for (const index of [...pip.extra, ...uv.extra, main]) {
    const upstream = upstreamOf(index, useClientCredentials);
    if (upstream !== undefined && !found.has(upstream.url)) found.set(upstream.url, upstream);
  }
  const usable = upstreamOf(main, false);
  // The same paths are asked of all of them, so they have to be laid out alike.
  return [...found.values()].filter(({ url }) => usable && isSimpleUrl(url) === isSimpleUrl(usable.url));
}

/** @returns `undefined` for what cannot be an upstream without further options: a folder, an index without `/simple` */
function upstreamOf({ url: text, source }: FoundIndex, useClientCredentials: boolean): DiscoveredUpstream | undefined {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return undefined;
  const index = withoutTrailingSlashes(printableUrl(url));
  if (!isSimpleUrl(index)) return undefined;
  const authorization = useClientCredentials ? urlAuthorization(url) : undefined;
  // The root of the index, where it has one: the legacy JSON and provenance lie beside the Simple API.
  return { url: index.replace(/\/simple$/, ''), source, ...(authorization !== undefined && { authorization }) };
}

/** `HOME` and the user database can both be missing, as in a container with an arbitrary user id. */
function homeDirectory(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}
