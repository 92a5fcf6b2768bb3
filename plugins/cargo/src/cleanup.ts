import type { Cleanup, Entry } from '@entrepot/core';
import { semverOrder } from '@entrepot/core/formats';
import { KEY, versionOf, type CargoHosted } from './hosted.js';

/** Cleanup of crates. The name of a crate stays taken when all of its versions are gone. */
export const CLEANUP: Cleanup<CargoHosted> = {
  versions: { order: semverOrder, isPrerelease: (version) => (semverOrder.parse(version)?.prerelease.length ?? 0) > 0 },
  async *stored({ list }) {
    let found: Entry[] = [];
    const versions = () =>
      found.map((entry) => ({ entry, name: versionOf(entry).line.name, version: versionOf(entry).line.vers }));
    for await (const entry of list(KEY.versions)) {
      const [last] = found;
      if (last !== undefined && versionOf(last).line.name !== versionOf(entry).line.name) {
        yield versions();
        found = [];
      }
      found.push(entry);
    }
    if (found.length > 0) yield versions();
  },
  async retire(versions) {
    return { remove: versions.map(({ entry }) => entry.key) };
  },
};
