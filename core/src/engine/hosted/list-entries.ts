import { setImmediate } from 'node:timers/promises';
import type { Entry, EntryIndex } from '../../api/entry-index.js';
import type { EntrySelection } from '../../plugin/classes.js';

/** Entries are read from the index in pages of this many. */
const PAGE = 250;

/** Yields the selected entries of a repository, by key. */
export async function* listEntries(
  entries: Pick<EntryIndex, 'list'>,
  repository: string,
  { prefix, after, limit = Infinity }: EntrySelection,
): AsyncGenerator<Entry> {
  let left = limit;
  let last = after;
  while (left > 0) {
    const wanted = Math.min(left, PAGE);
    const page = await entries.list(repository, { prefix, after: last, limit: wanted });
    yield* page;
    if (page.length < wanted) return;
    // Pages out of memory, or of an embedded database, come at once: other requests are served between two of them.
    await setImmediate();
    left -= page.length;
    last = page.at(-1)?.key;
  }
}
