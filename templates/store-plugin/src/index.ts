import { defineBlobStorePlugin } from '@entrepot/core';
import { ObjectBlobStore } from '@entrepot/core/blobs';
import { AcmeBucket } from './acme-bucket.js';
import { acmeOptions } from './options.js';

/** Blobs in Acme. */
export default defineBlobStorePlugin({
  id: 'acme',
  options: acmeOptions,
  inject: {},
  create: async ({ options }) => await ObjectBlobStore.open(await AcmeBucket.open(options.folder), ''),
});
