import type { Cleanup, Entry, StoredVersion } from '@entrepot/core';
import { rpmOrder } from '@entrepot/core/formats';
import { runsOf } from '../../shared/hosted/runs.js';
import type { RpmHosted } from './hosted.js';
import { KEY, packagePlace, partsOf } from './keys.js';
import { publishTree } from './tree-change.js';

/** Cleanup of packages. Names are those of packages in their place: `el9/hello/x86_64`. */
export const CLEANUP: Cleanup<RpmHosted> = {
  // `~` begins a prerelease as well as a backport.
  versions: { order: rpmOrder },
  async *stored({ list }) {
    const stemOf = ({ key }: Entry) => key.slice(0, key.lastIndexOf('/') + 1);
    for await (const run of runsOf(list(KEY.packages), stemOf)) yield* versionsOf(run);
  },
  async retire(versions, context, self) {
    const keys = versions.map(({ entry }) => entry.key);
    const { tree } = packagePlace(keys[0] as string);
    const packages = keys.map((key) => ({ file: packagePlace(key).file }));
    const { replace, remove } = await publishTree(tree, { packages }, context, self);
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
