import type { Cleanup, Entry, StoredVersion } from '@entrepot/core';
import { debOrder } from '@entrepot/core/formats';
import { runsOf } from '../../shared/hosted/runs.js';
import type { DebHosted } from './hosted.js';
import { architectureOf, KEY, packagePlace } from './keys.js';
import { publishSuite } from './suite-change.js';

/** Cleanup of packages. Names are those of packages in their place: `bookworm/main/hello/amd64`. */
export const CLEANUP: Cleanup<DebHosted> = {
  // `~` begins a prerelease as well as a backport.
  versions: { order: debOrder },
  async *stored({ list }) {
    // No name has a `_`: the files of one package stand together.
    const stemOf = ({ key }: Entry) => key.slice(0, key.lastIndexOf('/') + 1 + packagePlace(key).file.indexOf('_'));
    for await (const run of runsOf(list(KEY.packages), stemOf)) yield* versionsOf(run);
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
