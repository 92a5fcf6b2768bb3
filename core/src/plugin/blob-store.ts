import type { BlobStore } from '../api/blob-store.js';
import type { StandardSchema } from '../api/options.js';
import type { Injected, TokenRecord } from '../api/token.js';
import { API_VERSION } from '../api/version.js';

/** A store of blobs as a package publishes it, as its default export. */
export interface BlobStorePlugin<Options = unknown, Deps extends TokenRecord = TokenRecord> {
  readonly kind: 'blob-store';
  readonly apiVersion: number;
  /** Lower-case letters, digits and `-`. The `backend` in the configuration. */
  readonly id: string;
  /** Those of `storage` that are not common to all stores. Must refuse unknown keys. */
  readonly options: StandardSchema<Options>;
  /** `LOGGER` and `CLOCK` are there: a store brings the client of its store itself. */
  readonly inject: Deps;
  /**
   * Opens the store, and tries what it needs: within a minute. The host closes it by its `dispose`.
   * @throws EntrepotError `configuration` that says what is wrong with the options, and what to set
   */
  create(context: { readonly services: Injected<Deps>; readonly options: Options }): BlobStore | Promise<BlobStore>;
}

/** Declares a store of blobs: stamps `kind` and `apiVersion`. */
export function defineBlobStorePlugin<Options, const Deps extends TokenRecord>(
  plugin: Omit<BlobStorePlugin<Options, Deps>, 'kind' | 'apiVersion'>,
): BlobStorePlugin<Options, Deps> {
  return Object.freeze({ kind: 'blob-store' as const, apiVersion: API_VERSION, ...plugin });
}
