import { EntrepotError, requireMethod, type RequestHead, type Resource, type Route } from '@entrepot/core';
import { coordinatesOf, readPath, type MavenFile, type SumName } from './layout.js';
import type { MavenOptions } from './options.js';

/** The beginning of the keys of files; the rest is their path. */
export const FILES = 'files/';

/** Data of the entry of a file. */
export interface FileAttributes {
  readonly sums: Readonly<Record<SumName, string>>;
  /** The plugin that a POM is of. */
  readonly plugin?: { readonly name?: string | undefined; readonly prefix: string } | undefined;
}

/** A Maven repository of our own. */
export class MavenHosted {
  readonly options: MavenOptions;

  constructor(options: MavenOptions) {
    this.options = options;
  }

  /** Names a file, metadata, a sum of one of them, or a change. */
  route(head: RequestHead): Route | undefined {
    const path = head.trailingSlash ? undefined : readPath(head.segments);
    if (path === undefined) return undefined;
    const method = requireMethod(head, ['GET', 'PUT', 'DELETE']);
    const { subject, sum } = path;
    const { group, artifact } = subject;
    const attributes = { subject, sum };
    if (subject.kind === 'metadata') {
      if (method === 'DELETE')
        throw new EntrepotError('bad-request', 'Metadata is made from the files that are here, and cannot be deleted');
      const coordinates = coordinatesOf({ group, artifact });
      const named = { path: '', coordinates, attributes };
      // What clients compute of it is not taken: two of them at once would lose what the other one adds.
      if (method === 'PUT') return { class: 'ignored', key: `ignored/${subject.path}`, ...named };
      return { class: 'metadata', key: `metadata/${subject.path}`, ...named, variant: sum };
    }
    if (method === 'PUT' && subject.kind === 'other')
      throw new EntrepotError(
        'bad-request',
        'Expected PUT of a file to <group>/<artifact>/<version>/<artifact>-<version>.<extension>',
      );
    const named = { path: '', coordinates: coordinatesOf(subject), attributes };
    const key = `${FILES}${subject.path}`;
    if (sum === undefined) return { class: CLASS_OF[method], key, ...named };
    // The sums of a file go with it.
    if (method === 'DELETE') return { class: 'ignored', key: `ignored/${subject.path}`, ...named };
    const of = `sums/${subject.path}.${sum}`;
    return { class: method === 'GET' ? 'sidecar' : 'sidecarUpload', key: of, ...named };
  }

  /** Whether a file that exists may get other bytes. */
  mayReplace({ kind }: MavenFile): boolean {
    return kind === 'snapshot' || (kind === 'release' && this.options.redeploy);
  }
}

const CLASS_OF = { GET: 'file', PUT: 'upload', DELETE: 'delete' } as const;

/** The file that a resource is about. */
export function fileOf({ attributes }: Resource): MavenFile {
  return attributes?.['subject'] as MavenFile;
}
