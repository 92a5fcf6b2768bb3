import { artifactClass, changeClass, listingClass, type ProtocolInstance } from '@entrepot/core';
import type { AcmeOptions } from './options.js';
import { renderIndex } from './release-index.js';
import { receiveRelease } from './release.js';

/** A repository, as the hooks of its classes see it. */
export interface AcmeRepository extends ProtocolInstance {
  readonly options: AcmeOptions;
}

/** Serves the files of releases, with ranges and conditions. */
export const file = artifactClass<AcmeRepository>({
  about: 'Files of releases.',
  reply: { cacheControl: 'public, max-age=31536000, immutable' },
});

/** Lists the releases of a project. Made from the entries once for each revision of the repository. */
export const index = listingClass<AcmeRepository>({
  about: 'Release indexes.',
  reply: { mediaType: 'application/json' },
  entries: ({ key }) => ({ prefix: key.slice(0, key.lastIndexOf('/') + 1) }),
  render: renderIndex,
});

/** Publishes a file. A version that exists is a conflict. */
export const publish = changeClass<AcmeRepository>({
  about: 'Uploads of releases.',
  action: 'put',
  bounds: { of: 'file', maxBytes: (_resource, { options }) => options.maxBytes },
  make: receiveRelease,
});

/** Removes a file. Without `make`, the entry with the key of the resource is removed. */
export const remove = changeClass<AcmeRepository>({
  about: 'Deletions of releases.',
  action: 'delete',
  bounds: { of: 'file', maxBytes: 0 },
});
