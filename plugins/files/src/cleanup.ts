import type { Cleanup, StoredVersion } from '@entrepot/core';

/** The number of files that rules are applied to at once. */
const TOGETHER = 250;

/** Cleanup of hosted files. A path does not say which part of it is a version, so files go when they were not used for long. */
export const CLEANUP: Cleanup = {
  async *stored({ list }) {
    let files: StoredVersion[] = [];
    for await (const entry of list('')) {
      files.push({ entry, name: entry.coordinates?.name ?? entry.key });
      if (files.length < TOGETHER) continue;
      yield files;
      files = [];
    }
    if (files.length > 0) yield files;
  },
  retire: async (files) => ({ remove: files.map(({ entry }) => entry.key) }),
};
