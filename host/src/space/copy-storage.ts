import { type BlobInfo, type BlobStore, type Clock, type Digest, EntrepotError } from '@entrepot/core';
import { SqlCopiedBlobs } from '../drivers/sql/copied-blobs.js';
import { SqlMetaStore } from '../drivers/sql/meta-store.js';
import type { SqlDatabase } from '../drivers/sql/sql-database.js';
import { joinStores } from './belonging.js';
import { copyBlob } from './copy-blob.js';
import { isCopyOf, ownId, printMark, readMark } from './store-marks.js';

const PAGE = 500;
/** The number of blobs that are copied at once. */
const WIDTH = 8;
/** After every digest. */
const END = '~';
/** Blobs that came so long before a copy was begun may have been on their way then, in milliseconds. */
const SLACK = 24 * 3_600_000;

/** A copy of a store, as far as it is. */
export interface StorageCopied {
  /** Blobs that were looked at. */
  readonly blobs: number;
  /** Blobs that were copied, and their bytes. The others were there already. */
  readonly copied: number;
  readonly bytes: number;
  /** Blobs that entries point at, and that the source does not have. */
  readonly missing: readonly Digest[];
}

export interface StorageCopyOptions {
  /** Copies what there is now: more is to follow, and the target is not to be used yet. */
  readonly prepare: boolean;
  /** The number of blobs between two notes of how far the copy is. Default: 500. */
  readonly pageSize?: number | undefined;
  readonly signal: AbortSignal;
  readonly progress: (done: StorageCopied) => void;
}

/** The store to copy, with its database. */
export interface CopiedStorage {
  readonly blobs: BlobStore;
  readonly database: SqlDatabase;
  readonly clock: Clock;
}

/** An empty store, or one with a part of the same copy. @property name for people */
export interface CopyTarget {
  readonly blobs: BlobStore;
  readonly name: string;
}

/**
 * Copies all blobs to another store, which belongs to the database afterwards, and the source to none. How far it is stands in the target, so
 * that the next run goes on there. What is deleted from the source meanwhile may be left in the target without a row, where a listing finds it.
 * @throws EntrepotError `conflict` when the target has something else; `storage` when blobs of entries are missing
 */
export async function copyStorage(
  from: CopiedStorage,
  to: CopyTarget,
  options: StorageCopyOptions,
): Promise<StorageCopied> {
  const { blobs, database, clock } = from;
  const id = await idOf(from, to);
  const startedAt = clock.now();
  const begun = await begin(id, from, to);
  const copy = new Copy(new SqlCopiedBlobs(database), blobs, to.blobs, options);
  const note = (after: string, since: number): Promise<void> => setId(to, printMark({ copyOf: id, since, after }));
  await copy.run(begun.after, undefined, (after) => note(after, begun.since));
  // What came meanwhile, wherever its digest stands.
  await copy.run('', begun.since - SLACK);
  await note(END, startedAt);
  if (options.prepare) return copy.done;
  const { missing } = copy.done;
  if (missing.length > 0) {
    const some = missing.slice(0, 5).join(', ');
    throw new EntrepotError(
      'storage',
      `${missing.length} blobs of entries are missing or damaged in the source: ${some}${missing.length > 5 ? ' …' : ''}; entrepot verify notes that and heals what an upstream has. Then run this again`,
      { code: 'BLOB_MISSING' },
    );
  }
  // Of the two, never both are in use.
  await blobs.setStoreId?.(printMark({ movedFrom: id, to: to.name }));
  await setId(to, id);
  return copy.done;
}

/** The id of the store that is copied. */
async function idOf({ blobs, database }: CopiedStorage, to: CopyTarget): Promise<string> {
  const meta = new SqlMetaStore(database);
  const found = await blobs.storeId?.();
  if (found === undefined || readMark(found) === undefined) return await joinStores(meta, blobs);
  return ownId('the source', found, await to.blobs.storeId?.());
}

/** Marks the target as a copy, unless it is one. @returns where to go on */
async function begin(
  id: string,
  { clock }: CopiedStorage,
  to: CopyTarget,
): Promise<{ readonly since: number; readonly after: string }> {
  const found = await to.blobs.storeId?.();
  const mark = found !== undefined && isCopyOf(id, to.name, found) ? readMark(found) : undefined;
  if (mark !== undefined && 'copyOf' in mark) return mark;
  await requireEmpty(to);
  const begun = { copyOf: id, since: clock.now(), after: '' };
  await setId(to, printMark(begun));
  return begun;
}

async function requireEmpty({ blobs, name }: CopyTarget): Promise<void> {
  for await (const _ of blobs.list())
    throw new EntrepotError(
      'conflict',
      `${name} has blobs that are of no copy; expected an empty store, or one with a part of this copy`,
    );
}

async function setId({ blobs, name }: CopyTarget, id: string): Promise<void> {
  if (blobs.setStoreId === undefined)
    throw new EntrepotError('configuration', `${name} cannot hold the id of a store; expected another kind of storage`);
  await blobs.setStoreId(id);
}

/** Copies blobs page by page. */
class Copy {
  readonly #catalogue: SqlCopiedBlobs;
  readonly #from: BlobStore;
  readonly #to: BlobStore;
  readonly #progress: StorageCopyOptions['progress'];
  readonly #signal: AbortSignal;
  readonly #pageSize: number;
  readonly #missing = new Set<Digest>();
  #blobs = 0;
  #copied = 0;
  #bytes = 0;

  constructor(catalogue: SqlCopiedBlobs, from: BlobStore, to: BlobStore, options: StorageCopyOptions) {
    this.#catalogue = catalogue;
    this.#from = from;
    this.#to = to;
    this.#progress = options.progress;
    this.#signal = options.signal;
    this.#pageSize = options.pageSize ?? PAGE;
  }

  get done(): StorageCopied {
    return { blobs: this.#blobs, copied: this.#copied, bytes: this.#bytes, missing: [...this.#missing] };
  }

  /**
   * Copies the blobs after a digest.
   * @param since only those that came at this time or later
   * @param note called with the last digest of each page
   */
  async run(after: string, since: number | undefined, note?: (after: string) => Promise<void>): Promise<void> {
    for (let last = after; ;) {
      const page = await this.#catalogue.page(last, this.#pageSize, since);
      await this.#copyAll(page);
      last = page.at(-1)?.digest ?? last;
      if (page.length < this.#pageSize) return;
      await note?.(last);
    }
  }

  /** Copies several at once. The first failure ends it when those that are under way have ended. */
  async #copyAll(page: readonly BlobInfo[]): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let blob = page[next]; blob !== undefined; blob = page[next]) {
        next += 1;
        try {
          this.#signal.throwIfAborted();
          await this.#copyOne(blob);
        } catch (error) {
          next = page.length;
          throw error;
        }
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: WIDTH }, lane));
    const failed = ended.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #copyOne(blob: BlobInfo): Promise<void> {
    const became = await copyBlob(blob, this.#from, this.#to, this.#signal, true);
    this.#blobs += 1;
    if (became === 'copied') {
      this.#copied += 1;
      this.#bytes += blob.size;
    }
    // Of others, the bytes may never have come.
    if (became === 'missing' && (await this.#catalogue.isNamed(blob.digest))) this.#missing.add(blob.digest);
    this.#progress(this.done);
  }
}
