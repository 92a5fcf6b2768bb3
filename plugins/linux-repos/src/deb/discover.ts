import { join } from 'node:path';
import type { DiscoveredUpstream, DiscoveryContext } from '@entrepot/core';
import { filesOf, sourcesOf, upstreamsOf } from '../shared/discover.js';

/** The archives that apt on this machine uses. @param folder the settings of apt */
export async function discoverUpstreams(
  context: DiscoveryContext,
  folder = '/etc/apt',
): Promise<readonly DiscoveredUpstream[]> {
  const files = [join(folder, 'sources.list'), ...(await filesOf(join(folder, 'sources.list.d')))];
  const found = files.map(async (file) => {
    const read = READERS[file.slice(file.lastIndexOf('.'))];
    return read === undefined ? [] : await sourcesOf(file, read);
  });
  return upstreamsOf((await Promise.all(found)).flat(), "apt's configuration", context);
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
