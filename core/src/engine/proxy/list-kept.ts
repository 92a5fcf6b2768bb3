import { setImmediate } from 'node:timers/promises';
import type { KeptListing, KeptPage, KeptVersion } from '../../plugin/alias.js';
import type { JudgingParts } from '../policy/judge.js';
import { listContext } from '../policy/list-context.js';

/** Entries that were stored later are not listed yet: publishing one takes a moment after its time was read. Milliseconds. */
const SETTLED_AFTER = 60_000;
/** Entries are read from the index in pages of this many. */
const PAGE = 250;
/** The most entries that are looked at for one page. */
const MOST_READ = 20_000;

/** Lists versions that a repository keeps and that policy lets be listed, by the time at which they were stored. */
export async function listKept(
  parts: JudgingParts,
  now: number,
  { suffix, limit, ...start }: KeptListing,
  signal?: AbortSignal,
): Promise<KeptPage> {
  const { definition, services } = parts;
  // The names of all versions are listed, so the findings of all names count.
  const { context } = await listContext(parts, { baseUrl: '' }, { coordinates: undefined, isUndated: false });
  const before = now - SETTLED_AFTER;
  const versions: KeptVersion[] = [];
  let place: Pick<KeptListing, 'since' | 'after'> = start;
  for (let read = 0; read < MOST_READ; read += PAGE) {
    const page = await services.entries.listStored(definition.name, { ...place, before, limit: PAGE });
    for (const { key, fetchedAt, coordinates, facts, integrity } of page) {
      if (versions.length === limit) return { versions, next: place };
      place = { since: fetchedAt, after: key };
      if (coordinates?.version === undefined || !key.endsWith(suffix)) continue;
      if (context.admits(coordinates, { ...facts, integrity })) versions.push({ coordinates, storedAt: fetchedAt });
    }
    if (page.length < PAGE) return { versions };
    // Pages out of memory, or of an embedded database, come at once: other requests are served between two of them.
    await setImmediate();
    signal?.throwIfAborted();
  }
  return { versions, next: place };
}
