import type { Cleanup, Entry, StoredVersion } from '@entrepot/core';
import { mavenOrder } from '@entrepot/core/formats';
import { isPrerelease } from './hosted-metadata.js';
import { FILES, type MavenHosted } from './hosted.js';
import { readPath, type MavenFile } from './layout.js';

/** Cleanup of versions, with all of their files. Names are those of policy: `org.example/tool`. */
export const CLEANUP: Cleanup<MavenHosted> = {
  versions: { order: mavenOrder, isPrerelease },
  async *stored({ list }) {
    let name = '';
    let found: Entry[] = [];
    for await (const entry of list(FILES)) {
      const own = entry.coordinates?.name ?? '';
      if (own !== name) yield* versionsOf(name, found);
      if (own !== name) found = [];
      name = own;
      found.push(entry);
    }
    yield* versionsOf(name, found);
  },
  async retire(versions, { list }) {
    const remove: string[] = [];
    for (const { entry } of versions)
      for await (const { key } of list(entry.key.slice(0, entry.key.lastIndexOf('/') + 1))) remove.push(key);
    return { remove };
  },
};

function* versionsOf(name: string, entries: readonly Entry[]): Generator<readonly StoredVersion[]> {
  if (entries.length === 0) return;
  const byVersion = Map.groupBy(entries, ({ coordinates }) => coordinates?.version ?? '');
  yield Array.from(byVersion, ([version, files]) => {
    const entry = files.find(({ key }) => fileAt(key).rest === '.pom') ?? (files[0] as Entry);
    return { entry, name, version, servedBy: files.map(({ key }) => key).filter((key) => key !== entry.key) };
  });
}

function fileAt(key: string): MavenFile {
  return readPath(key.slice(FILES.length).split('/'))?.subject as MavenFile;
}
