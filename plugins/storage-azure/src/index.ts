import { defineBlobStorePlugin, LOGGER } from '@entrepot/core';
import { ObjectBlobStore } from '@entrepot/core/blobs';
import { AzureBucket } from './azure-bucket.js';
import { azureOptions } from './options.js';

/** Blobs in a container of Azure Blob Storage. */
export default defineBlobStorePlugin({
  id: 'azure',
  options: azureOptions,
  inject: { logger: LOGGER },
  create: async ({ options }) => await ObjectBlobStore.open(await AzureBucket.open(options), options.prefix),
});

export type { AzureOptions } from './options.js';
