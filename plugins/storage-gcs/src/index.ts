import { defineBlobStorePlugin } from '@entrepot/core';
import { ObjectBlobStore } from '@entrepot/core/blobs';
import { GcsBucket } from './gcs-bucket.js';
import { gcsOptions } from './options.js';

/** Blobs in a bucket of Google Cloud Storage. */
export default defineBlobStorePlugin({
  id: 'gcs',
  options: gcsOptions,
  inject: {},
  create: async ({ options }) => await ObjectBlobStore.open(await GcsBucket.open(options), options.prefix),
});

export type { GcsOptions } from './options.js';
