import { EntrepotError, type HostedContext } from '@entrepot/core';
import { readDeb, type DebFile } from './deb-file.js';
import { architectureOf, KEY, packagePlace, type ListPlace } from './keys.js';
import { stanzaOf, withStanzas, type StanzaEdit } from './package-list.js';

type RebuildContext = Pick<HostedContext, 'list' | 'content'>;

/** Makes a list anew from its packages: where its bytes are lost, and nowhere else, since all of them are read. */
export async function rebuildList(place: ListPlace, { list, content }: RebuildContext): Promise<Buffer> {
  const { suite, component, architecture } = place;
  const stanzas: StanzaEdit[] = [];
  for await (const entry of list(KEY.package({ suite, component, file: '' }))) {
    const own = packagePlace(entry.key);
    const isIn = [architecture, 'all'].includes(architectureOf(own.file));
    // The packages of `stable/main` begin as those of the suite `stable` do.
    if (own.suite !== suite || own.component !== component || !isIn) continue;
    const deb = await readDeb(content(entry)).catch(absentIfLost);
    if (deb !== undefined) stanzas.push({ path: entry.key, stanza: stanzaOf(deb, entry.key) });
  }
  const empty = Buffer.alloc(0);
  return withStanzas(empty, stanzas) ?? empty;
}

/** A package without its bytes cannot be installed, so it is not listed. */
function absentIfLost(error: unknown): DebFile | undefined {
  if (error instanceof EntrepotError && error.code === 'BLOB_MISSING') return undefined;
  throw error;
}
