import type { Cleanup, Entry, StoredVersion } from '@entrepot/core';
import { rpmOrder } from '@entrepot/core/formats';
import type { RpmHosted } from './hosted.js';
import { KEY, packagePlace, partsOf } from './keys.js';
import { publishTree } from './tree-change.js';

/** Cleanup of packages. Names are those of packages in their place: `el9/hello/x86_64`. */
export const CLEANUP: Cleanup<RpmHosted> = {
  // `~` begins a prerelease as well as a backport.
  versions: { order: rpmOrder },
  async *stored({ list }) {
    let stem = '';
    let found: Entry[] = [];
    for await (const entry of list(KEY.packages)) {
      const own = entry.key.slice(0, entry.key.lastIndexOf('/') + 1);
      if (own !== stem) yield* versionsOf(found);
      if (own !== stem) found = [];
      stem = own;
      found.push(entry);
    }
    yield* versionsOf(found);
  },
  async retire(versions, context, self) {
    const keys = versions.map(({ entry }) => entry.key);
    const { tree } = packagePlace(keys[0] as string);
    const edits = keys.map((key) => ({ file: packagePlace(key).file }));
    const { replace, remove } = await publishTree(tree, edits, context, self);
    return { replace, remove: [...remove, ...keys] };
  },
};

/** Sorts the files of one package by their architecture. */
function* versionsOf(entries: readonly Entry[]): Generator<readonly StoredVersion[]> {
  const versions = entries.map((entry) => {
    const { tree, file } = packagePlace(entry.key);
    const { name, architecture } = partsOf(file);
    const place = `${tree === '' ? '' : `${tree}/`}${name}/${architecture}`;
    return { entry, name: place, version: entry.attributes?.['version'] as string };
  });
  yield* Map.groupBy(versions, ({ name }) => name).values();
}
