import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import type { ArtifactResource, DocumentResource, PinnedResource } from '../request/resource.js';

/** A document that is a mutable name for bytes which are also found by their digest. */
export type PinnedDocument = DocumentResource & { readonly pinned: PinnedResource };

/** Whether `resource` is such a name. */
export function isPinned(resource: ArtifactResource | DocumentResource): resource is PinnedDocument {
  return resource.kind === 'document' && resource.pinned !== undefined;
}

/** The digest that the ecosystem calls the bytes of an entry by: it may be that of a part of them (`namedPart`). */
export function nameOf({ digest, integrity }: Pick<Entry, 'digest' | 'integrity'>): Digest {
  const [named, ...others] = integrity.filter(({ algorithm }) => algorithm === 'sha256');
  if (named === undefined) return digest;
  return [named, ...others].some(({ hex }) => digest === `sha256:${hex}`) ? digest : `sha256:${named.hex}`;
}
