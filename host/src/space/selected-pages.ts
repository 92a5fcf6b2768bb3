import { setImmediate as turn } from 'node:timers/promises';
import type { KeptEntry } from '../drivers/sql/eviction-store.js';
import type { SqlSelectedEntries } from '../drivers/sql/selected-entries.js';
import { slices } from '../drivers/slices.js';
import type { Selector } from './selector.js';

/** The number of entries that are read at once. */
const READ = 500;
/** The most entries of one package that are read by its name: those of a larger one are looked for among all. */
const PACKAGE = 2_000;

/**
 * Reads the entries that `selector` takes, in pages of `size` at the most. Other requests have their turn between two of them. Entries
 * of pages that were read may be removed meanwhile.
 */
export async function* selectedPages(
  store: SqlSelectedEntries,
  selector: Selector,
  size: number,
): AsyncGenerator<readonly KeptEntry[]> {
  for await (const read of candidates(store, selector)) {
    const taken = read.filter((entry) => selector.takes(entry));
    for (const page of slices(taken, size)) {
      yield page;
      await turn();
    }
    await turn();
  }
}

async function* candidates(store: SqlSelectedEntries, selector: Selector): AsyncGenerator<readonly KeptEntry[]> {
  const { coordinates, keys, prefix, repository } = selector;
  if (keys !== undefined && repository !== undefined) {
    yield await store.withKeys(repository, keys);
    return;
  }
  if (coordinates !== undefined) {
    const found = await store.ofName(coordinates, PACKAGE);
    if (found.length < PACKAGE) {
      yield found;
      return;
    }
  }
  let last: KeptEntry | undefined;
  do {
    const page: readonly KeptEntry[] =
      repository === undefined
        ? await store.ofAll(last ?? { repository: '', key: '' }, READ)
        : await store.ofRepository(repository, prefix, last?.key, READ);
    yield page;
    last = page.length < READ ? undefined : page.at(-1);
  } while (last !== undefined);
}
