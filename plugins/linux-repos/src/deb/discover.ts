import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printableUrl, urlAuthorization, withoutTrailingSlashes } from '@entrepot/core';
import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';

/** A source of packages in the settings of apt. */
interface Source {
  readonly url: string;
  readonly file: string;
}

/**
 * The archives that apt on this machine uses: the one archive itself; the server of several archives, whose paths are below it; or
 * several servers, each under the name of its host.
 * @param folder the settings of apt
 */
export async function discoverUpstreams(
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
  folder = '/etc/apt',
): Promise<readonly DiscoveredUpstream[]> {
  const sources = (await readSources(folder)).filter(({ url }) => !isOwn(url));
  const urls = [...new Set(sources.map(({ url }) => withoutTrailingSlashes(printableUrl(new URL(url)))))];
  const origins = [...new Set(urls.map((url) => new URL(url).origin))];
  return origins.map((origin) => {
    const { file, url } = sources.find((source) => new URL(source.url).origin === origin) as Source;
    const authorization = useClientCredentials ? urlAuthorization(new URL(url)) : undefined;
    return {
      url: urls.length === 1 ? (urls[0] as string) : origin,
      ...(origins.length > 1 && { scope: new URL(origin).host }),
      source: `apt's configuration (${file})`,
      ...(authorization !== undefined && { authorization }),
    };
  });
}

async function readSources(folder: string): Promise<readonly Source[]> {
  const parts = join(folder, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).sort().map((name) => join(parts, name));
  const found: Source[] = [];
  for (const file of [join(folder, 'sources.list'), ...names]) {
    const read = READERS[file.slice(file.lastIndexOf('.'))];
    const text = read && (await readFile(file, 'utf8').catch(() => undefined));
    for (const url of text === undefined ? [] : (read?.(text) ?? [])) if (isArchive(url)) found.push({ url, file });
  }
  return found;
}

/** Readers of settings, by the ending of their file: sources.list(5). */
const READERS: Readonly<Record<string, (text: string) => string[]>> = { '.list': readList, '.sources': readStanzas };

/** Lines `deb [options] URL suite components`. */
function readList(text: string): string[] {
  return text.split('\n').flatMap((line) => /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s/.exec(line)?.[1] ?? []);
}

/** Stanzas with `Types`, `URIs` and `Enabled`. */
function readStanzas(text: string): string[] {
  const plain = text.replaceAll(/^#.*\n?/gm, '');
  return plain.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    for (const [, name = '', value = ''] of stanza.matchAll(/^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)/gm))
      fields.set(name.toLowerCase(), value);
    const isOff = /^\s*(?:no|false|0|off)\s*$/i.test(fields.get('enabled') ?? '');
    const isBinary = fields.get('types')?.split(/\s+/).includes('deb') === true;
    return isOff || !isBinary ? [] : (fields.get('uris') ?? '').split(/\s+/).filter((url) => url !== '');
  });
}

function isArchive(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'http:' || url?.protocol === 'https:';
}
