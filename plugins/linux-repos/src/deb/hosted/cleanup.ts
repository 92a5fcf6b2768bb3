import type { Cleanup, Entry, StoredVersion } from '@entrepot/core';
import { debOrder } from '@entrepot/core/formats';
import type { DebHosted } from './hosted.js';
import { architectureOf, KEY, packagePlace } from './keys.js';
import { publishSuite } from './suite-change.js';

/** Cleanup of packages. Names are those of packages in their place: `bookworm/main/hello/amd64`. */
export const CLEANUP: Cleanup<DebHosted> = {
  // `~` begins a prerelease as well as a backport.
  versions: { order: debOrder },
  async *stored({ list }) {
    let stem = '';
    let found: Entry[] = [];
    for await (const entry of list(KEY.packages)) {
      // No name has a `_`: the files of one package stand together.
      const own = entry.key.slice(0, entry.key.lastIndexOf('/') + 1 + packagePlace(entry.key).file.indexOf('_'));
      if (own !== stem) yield* versionsOf(found);
      if (own !== stem) found = [];
      stem = own;
      found.push(entry);
    }
    yield* versionsOf(found);
  },
  async retire(versions, context, self) {
    const entries = versions.map(({ entry }) => entry.key);
    const { suite } = packagePlace(entries[0] as string);
    const edits = entries.map((path) => {
      const { component, file } = packagePlace(path);
      return { component, architecture: architectureOf(file), path };
    });
    const { replace, remove } = await publishSuite(suite, edits, context, self);
    return { replace, remove: [...remove, ...entries] };
  },
};

/** Sorts the files of one package by their architecture. */
function* versionsOf(entries: readonly Entry[]): Generator<readonly StoredVersion[]> {
  const versions = entries.map((entry) => {
    const { suite, component, file } = packagePlace(entry.key);
    const name = `${suite}/${component}/${file.slice(0, file.indexOf('_'))}/${architectureOf(file)}`;
    return { entry, name, version: entry.attributes?.['version'] as string };
  });
  yield* Map.groupBy(versions, ({ name }) => name).values();
}
