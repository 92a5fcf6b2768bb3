import type { Entry } from '@entrepot/core';

/** Groups entries that stand together: those with the same stem. @param stemOf its part of a key */
export async function* runsOf(
  entries: AsyncIterable<Entry>,
  stemOf: (entry: Entry) => string,
): AsyncGenerator<readonly Entry[]> {
  let stem: string | undefined;
  let found: Entry[] = [];
  for await (const entry of entries) {
    const own = stemOf(entry);
    if (own !== stem && found.length > 0) yield found;
    if (own !== stem) found = [];
    stem = own;
    found.push(entry);
  }
  if (found.length > 0) yield found;
}
