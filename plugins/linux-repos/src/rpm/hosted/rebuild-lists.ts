import { EntrepotError, type HostedContext } from '@entrepot/core';
import { KEY, LISTS, packagePlace, type ListName } from './keys.js';
import { withPackages, type PackageEdit } from './lists.js';
import { readRpm, type RpmFile } from './rpm-file.js';

type RebuildContext = Pick<HostedContext, 'list' | 'content'>;

/** The lists of a tree, as they are kept. */
export interface KeptLists {
  readonly lists: Readonly<Record<ListName, Buffer>>;
  /** Number of packages in each of them. */
  readonly packages: number;
}

/** Makes the lists of a tree anew from its packages: where bytes of one are lost, and nowhere else, since all packages are read. */
export async function rebuildLists(tree: string, { list, content }: RebuildContext): Promise<KeptLists> {
  const edits: PackageEdit[] = [];
  for await (const entry of list(KEY.packagesOf(tree))) {
    const time = Number(entry.attributes?.['time'] ?? 0);
    const rpm = await readRpm(content(entry), time).catch(absentIfLost);
    if (rpm !== undefined) edits.push({ file: packagePlace(entry.key).file, elements: rpm.elements });
  }
  const empty = Buffer.alloc(0);
  const made = LISTS.map((name) => [name, withPackages(empty, name, edits)?.list ?? empty] as const);
  return { lists: Object.fromEntries(made) as KeptLists['lists'], packages: edits.length };
}

/** A package without its bytes cannot be installed, so it is not listed. */
function absentIfLost(error: unknown): RpmFile | undefined {
  if (error instanceof EntrepotError && error.code === 'BLOB_MISSING') return undefined;
  throw error;
}
