import { artifactClass, documentClass, sessionClass, type SessionStep } from '@entrepot/core';
import { LIST_CLASSES } from './hosted-lists.js';
import { attributesOf, nameOf, policy, type OciHosted } from './hosted-routes.js';
import { BLOB_TYPE, DIGEST_HEADER } from './media-types.js';
import { pathOf } from './paging.js';
import { CHANGE_CLASSES } from './pushes.js';
import { KEY } from './reference.js';

const IMMUTABLE = 'max-age=31536000, immutable';

/** The classes of a hosted registry. */
export const hostedClasses = {
  blob: artifactClass<OciHosted>({
    about: 'Layers and configurations, by digest.',
    reply: {
      mediaType: BLOB_TYPE,
      filename: (resource) => attributesOf(resource).digest?.replace(':', '-'),
      digestHeader: DIGEST_HEADER,
      cacheControl: IMMUTABLE,
    },
    policy,
  }),
  manifest: artifactClass<OciHosted>({
    about: 'Manifests and indexes, by digest.',
    reply: { filename: 'manifest.json', digestHeader: DIGEST_HEADER, cacheControl: IMMUTABLE },
    policy,
  }),
  /** A tag names an image: it is scanned and decided on as one. */
  tag: documentClass<OciHosted>({
    about: 'Manifests and indexes, by tag.',
    reply: { digestHeader: DIGEST_HEADER },
    trust: { addressed: { pinned: (resource) => ({ key: KEY.manifest(nameOf(resource), '{digest}') }) } },
    policy,
  }),
  ...LIST_CLASSES,
  ...CHANGE_CLASSES,
  upload: sessionClass<OciHosted>({
    about: 'Uploads of blobs in several requests.',
    policy,
    maxBytes: (_, { options }) => options.maxBlobSize,
    step: (resource) => attributesOf(resource).step as SessionStep,
    reply({ action, owner }, { id, size }, { baseUrl }) {
      if (action === 'cancel') return { status: 204 };
      const headers = {
        Location: `${pathOf(baseUrl)}/${owner}/blobs/uploads/${id}`,
        // The specification has no word for "nothing yet"; registries and clients say and read `0-0`.
        Range: `0-${Math.max(0, size - 1)}`,
        'Docker-Upload-UUID': id,
      };
      return { status: action === 'status' ? 204 : 202, headers };
    },
  }),
};
