import type * as Sdk from '@azure/storage-blob';
import { withoutTrailingSlashes } from '@entrepot/core';
import type { AzureOptions } from './options.js';

/** A container, as the SDK has it. */
export interface OpenedContainer {
  readonly client: Sdk.ContainerClient;
  /** Whether the credentials can sign URLs. */
  readonly canSign: boolean;
}

/** Opens the client of a container. The SDK takes 20 MiB of memory: it is loaded where one is configured. */
export async function openContainer(options: AzureOptions): Promise<OpenedContainer> {
  const sdk = await import('@azure/storage-blob');
  const { container, account, accountKey, sasToken, connectionString } = options;
  // What fails is repeated by the store, bodies included.
  const pipeline = { retryOptions: { maxTries: 1 } };
  if (connectionString !== undefined) {
    const service = sdk.BlobServiceClient.fromConnectionString(connectionString, pipeline);
    const canSign = service.credential instanceof sdk.StorageSharedKeyCredential;
    return { client: service.getContainerClient(container), canSign };
  }
  const { endpoint = `https://${account}.blob.core.windows.net` } = options;
  const url = `${withoutTrailingSlashes(endpoint)}/${container}`;
  if (accountKey !== undefined) {
    const credential = new sdk.StorageSharedKeyCredential(account as string, accountKey);
    return { client: new sdk.ContainerClient(url, sdk.newPipeline(credential, pipeline)), canSign: true };
  }
  if (sasToken !== undefined) {
    const signed = `${url}?${sasToken.replace(/^\?/, '')}`;
    return {
      client: new sdk.ContainerClient(signed, sdk.newPipeline(new sdk.AnonymousCredential(), pipeline)),
      canSign: false,
    };
  }
  const { DefaultAzureCredential } = await import('@azure/identity');
  const credential = new DefaultAzureCredential();
  return { client: new sdk.ContainerClient(url, sdk.newPipeline(credential, pipeline)), canSign: false };
}
