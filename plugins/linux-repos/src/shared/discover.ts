import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printableUrl, urlAuthorization, withoutTrailingSlashes } from '@entrepot/core';
import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';

/** A source of packages in the settings of a client. */
export interface Source {
  readonly url: string;
  /** The file that has it. */
  readonly file: string;
}

/**
 * The archives that a client on this machine uses: the one archive itself; the server of several archives, whose paths are below it; or
 * several servers, each under the name of its host.
 * @param client its name, in words: `apt's configuration`
 */
export function upstreamsOf(
  found: readonly Source[],
  client: string,
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
): readonly DiscoveredUpstream[] {
  const sources = found.filter(({ url }) => isArchive(url) && !isOwn(url));
  const urls = [...new Set(sources.map(({ url }) => withoutTrailingSlashes(printableUrl(new URL(url)))))];
  const origins = [...new Set(urls.map((url) => new URL(url).origin))];
  return origins.map((origin) => {
    const { file, url } = sources.find((source) => new URL(source.url).origin === origin) as Source;
    const authorization = useClientCredentials ? urlAuthorization(new URL(url)) : undefined;
    return {
      url: urls.length === 1 ? (urls[0] as string) : origin,
      ...(origins.length > 1 && { scope: new URL(origin).host }),
      source: `${client} (${file})`,
      ...(authorization !== undefined && { authorization }),
    };
  });
}

/** Reads the sources of a file. A file that cannot be read has none. */
export async function sourcesOf(file: string, read: (text: string) => readonly string[]): Promise<readonly Source[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return read(text).map((url) => ({ url, file }));
}

/** The files of a folder, in their order. A folder that cannot be read has none. */
export async function filesOf(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.sort().map((name) => join(folder, name));
}

function isArchive(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'http:' || url?.protocol === 'https:';
}
