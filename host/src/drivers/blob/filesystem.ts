import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { BlobInfo, BlobOpenOptions, BlobPutOptions, BlobSource, BlobStore, Digest } from '@entrepot/core';
import { LAYOUT_VERSION, printVersion } from '@entrepot/core/blobs';
import { EntrepotError } from '@entrepot/core';
import { tryFolder } from './folder-probe.js';
import { FileReader } from './file-reader.js';
import { readLayout, writeLayout } from './layout.js';
import { withNewFile } from './new-file.js';
import { SharedRun } from '../shared-run.js';
import { slices } from '../slices.js';
import { storageError, systemCode } from './storage-error.js';
import { syncDirectory, syncFile } from './sync-file.js';

// <path>/
//   layout.json                  {"version":1}
//   v1/sha256/00 … ff/<hex>      one file a blob, named by its digest, in the folder of the digest's first two digits
//   damaged/<hex>                a blob whose bytes are no longer those of its digest, for who looks into it
//   tmp/<uuid>.part              a blob that is being written, a probe
//
// One level of folders is enough: a million blobs are 4,000 names a folder, and a put has one directory to sync.

/** Modes that keep other users of the machine from reading past access control. */
const FOLDER_MODE = 0o700;
const FOLDER_NAME = /^[0-9a-f]{2}$/;
const BLOB_NAME = /^[0-9a-f]{64}$/;
const TEMPORARY_NAME = /^[0-9a-f-]{36}\.part$/;
/** The number of files that a listing looks at side by side. */
const LIST_WIDTH = 32;
/** `link` cannot do it here; a copy can. EMLINK: as many names as the file system allows. */
const UNLINKABLE = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * The faults that a finished put survives.
 * - `strict`: a power cut. The file and its directory are synced.
 * - `relaxed`: the end of the process. After a power cut the newest blobs may be missing or torn.
 */
export type Durability = 'strict' | 'relaxed';

export interface FilesystemBlobStoreOptions {
  /** The folder of the store. It is made when it does not exist. */
  readonly path: string;
  readonly durability: Durability;
  /** Bytes in one read of a blob. Default: 256 KiB. */
  readonly readSize?: number | undefined;
}

/** A `BlobStore` in a folder of a local file system. Several processes may share the folder. */
export class FilesystemBlobStore implements BlobStore {
  readonly #path: string;
  readonly #blobs: string;
  readonly #temporary: string;
  readonly #strict: boolean;
  readonly #readSize: number;
  /** The folders that are known to be there, and durably so where that is asked for: 256 at the most. */
  readonly #folders = new Set<string>();
  /** The syncs of folders: 256 at the most. */
  readonly #syncs = new Map<string, SharedRun>();

  /**
   * Opens the store in `path`, makes it where there is none, and removes what a crash left in `tmp`.
   * @throws EntrepotError `configuration` when the folder cannot be made or holds another version of the layout.
   */
  static async open(options: FilesystemBlobStoreOptions): Promise<FilesystemBlobStore> {
    const store = new FilesystemBlobStore(options);
    try {
      await store.#prepare();
    } catch (error) {
      if (error instanceof EntrepotError) throw error;
      const reason = systemCode(error) ?? String(error);
      throw new EntrepotError('configuration', `cannot open the blob store in ${options.path}: ${reason}`, {
        cause: error,
      });
    }
    return store;
  }

  private constructor({ path, durability, readSize = 256 * 1024 }: FilesystemBlobStoreOptions) {
    this.#path = path;
    this.#blobs = join(path, `v${LAYOUT_VERSION}`, 'sha256');
    this.#temporary = join(path, 'tmp');
    this.#strict = durability === 'strict';
    this.#readSize = readSize;
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    const path = this.#blobPath(digest);
    const size = await this.#size(path);
    return size === undefined ? undefined : { digest, size };
  }

  async pathOf(digest: Digest): Promise<string | undefined> {
    return (await this.stat(digest)) && this.#blobPath(digest);
  }

  async open(digest: Digest, options: BlobOpenOptions = {}): Promise<Readable | undefined> {
    options.signal?.throwIfAborted();
    const path = this.#blobPath(digest);
    // From here on the bytes are ours to read, whoever deletes their name.
    const handle = await this.#ifPresent('open', path, () => open(path, 'r'));
    if (handle === undefined) return undefined;
    const { size } = await handle.stat();
    if (options.size !== undefined && size !== options.size) {
      await handle.close();
      return undefined;
    }
    // Most blobs are small: a buffer of their size, and no read that only finds the end.
    const range = options.range ?? { start: 0, end: size - 1 };
    return new FileReader(handle, path, { range, pieceSize: this.#readSize, signal: options.signal });
  }

  async put(digest: Digest, size: number, source: BlobSource, options: BlobPutOptions = {}): Promise<void> {
    const { signal } = options;
    signal?.throwIfAborted();
    const path = this.#blobPath(digest);
    const { bytes } = source;
    try {
      if (bytes !== undefined) {
        if (bytes.length !== size)
          throw new EntrepotError('integrity', `expected ${size} bytes of ${digest}, found ${bytes.length}`);
        await this.#makeFolder(path);
        await this.#write(path, (handle) => writeWhole(handle, bytes));
        return;
      }
      // A file of another size is what a power cut left of a relaxed put: it is replaced.
      const found = await this.#size(path);
      if (found === size && (await isFileOf(digest, path))) {
        await this.#syncFolder(path);
        return;
      }
      await this.#makeFolder(path);
      if (source.path !== undefined && (await this.#adopt(source.path, size, path, found !== undefined))) return;
      await this.#write(path, (handle) => writeVerified(handle, digest, size, source, signal));
    } catch (error) {
      signal?.throwIfAborted();
      throw storageError(error, 'write', path);
    }
  }

  async delete(digest: Digest): Promise<boolean> {
    const path = this.#blobPath(digest);
    // Not synced: a name that a power cut brings back is a whole blob that nothing points to.
    const deleted = await this.#ifPresent('delete', path, () => unlink(path).then(() => true));
    return deleted ?? false;
  }

  /** Moves the file to `damaged`, under the same name. */
  async setAside(digest: Digest): Promise<boolean> {
    const path = this.#blobPath(digest);
    const folder = join(this.#path, 'damaged');
    const aside = join(folder, digest.slice('sha256:'.length));
    const isRight = await this.#ifPresent('set aside', path, async () => {
      await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
      await rename(path, aside);
      // Only what has no other name any more can be looked at for good.
      if (!(await isFileOf(digest, aside))) return false;
      await rename(aside, path);
      return true;
    });
    return isRight !== true;
  }

  async *list(): AsyncIterable<BlobInfo> {
    for (const { name: folder } of await readFolder(this.#blobs)) {
      if (!FOLDER_NAME.test(folder)) continue;
      const files = (await readFolder(join(this.#blobs, folder))).filter(
        (found) => found.isFile() && BLOB_NAME.test(found.name) && found.name.startsWith(folder),
      );
      for (const part of slices(files, LIST_WIDTH)) {
        const found = await Promise.all(part.map(({ name }) => this.stat(`sha256:${name}`)));
        yield* found.filter((info) => info !== undefined);
      }
    }
  }

  async check(only?: 'read'): Promise<void> {
    if (only === 'read') return void (await readFolder(this.#blobs));
    const path = this.#temporaryPath();
    try {
      const written = Buffer.from(randomUUID());
      await withNewFile(path, async (handle) => {
        await writeWhole(handle, written);
        if (this.#strict) await handle.sync();
        // Not by its name: another process that starts on this folder may take that for the leftovers of a crash.
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(written.length), 0, written.length, 0);
        if (bytesRead === written.length && buffer.equals(written)) return false;
        throw new EntrepotError('storage', `${path} does not read as it was written`);
      });
    } catch (error) {
      throw storageError(error, 'write', path);
    }
  }

  async storeId(): Promise<string | undefined> {
    return (await readLayout(this.#path))?.storeId;
  }

  async setStoreId(storeId: string): Promise<void> {
    try {
      await writeLayout(this.#path, { version: LAYOUT_VERSION, storeId });
    } catch (error) {
      throw storageError(error, 'write', join(this.#path, 'layout.json'));
    }
  }

  async freeBytes(): Promise<number> {
    try {
      const { bavail, bsize } = await statfs(this.#blobs);
      return bavail * bsize;
    } catch (error) {
      throw storageError(error, 'look at the volume of', this.#blobs);
    }
  }

  async dispose(): Promise<void> {}

  async #prepare(): Promise<void> {
    await mkdir(this.#path, { recursive: true, mode: FOLDER_MODE });
    await this.#checkLayout();
    await mkdir(this.#temporary, { recursive: true, mode: FOLDER_MODE });
    const made = await mkdir(this.#blobs, { recursive: true, mode: FOLDER_MODE });
    if (this.#strict && made !== undefined) {
      for (const folder of [this.#blobs, join(this.#blobs, '..'), this.#path, join(this.#path, '..')]) {
        await syncDirectory(folder);
      }
    }
    await tryFolder(this.#temporary);
    // Another process may be writing here; a put that loses its file begins anew. Only our own names go.
    for (const name of await readdir(this.#temporary)) {
      if (TEMPORARY_NAME.test(name)) await rm(join(this.#temporary, name), { force: true });
    }
  }

  async #checkLayout(): Promise<void> {
    const layout = await readLayout(this.#path);
    if (layout === undefined) return await writeLayout(this.#path, { version: LAYOUT_VERSION });
    const found = printVersion(layout);
    if (found === String(LAYOUT_VERSION)) return;
    throw new EntrepotError(
      'configuration',
      `${join(this.#path, 'layout.json')}: expected layout version ${LAYOUT_VERSION}, found ${found}; use the version of Entrepot that made this store, or another path`,
    );
  }

  /**
   * Gives the caller's file a second name in the store.
   * @returns false when the file system cannot do that.
   */
  async #adopt(file: string, size: number, path: string, isDamaged: boolean): Promise<boolean> {
    const found = await lstat(file);
    if (!found.isFile()) return false;
    if (found.size !== size) {
      throw new EntrepotError('integrity', `expected ${size} bytes, found ${found.size} in ${file}`);
    }
    if (this.#strict) await syncFile(file);
    try {
      await link(file, path).catch(async (error: unknown) => {
        if (systemCode(error) !== 'EEXIST') throw error;
        if (isDamaged || (await this.#size(path)) !== size) await this.#replace(file, path);
      });
    } catch (error) {
      // ENOENT: somebody removed the folder, which a copy makes again.
      if (systemCode(error) === 'ENOENT' || UNLINKABLE.has(systemCode(error) ?? '')) return false;
      throw error;
    }
    await this.#syncFolder(path);
    return true;
  }

  /** Gives `file` the name of a blob that is torn. */
  async #replace(file: string, path: string): Promise<void> {
    const temporary = this.#temporaryPath();
    try {
      await link(file, temporary);
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #write(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const temporary = this.#temporaryPath();
      const published = await withNewFile(temporary, async (handle) => {
        await fill(handle);
        if (this.#strict) await handle.datasync();
        try {
          await rename(temporary, path);
        } catch (error) {
          // Once: another process that started on this store took our file for the leftovers of a crash, or somebody removed
          // the folder.
          if (systemCode(error) !== 'ENOENT' || attempt > 1) throw error;
          this.#folders.delete(join(path, '..'));
          await this.#makeFolder(path);
          return false;
        }
        await Promise.all([handle.close(), this.#syncFolder(path)]);
        return true;
      });
      if (published) return;
    }
  }

  async #size(path: string): Promise<number | undefined> {
    const found = await this.#ifPresent('look at', path, () => stat(path));
    return found?.isFile() === true ? found.size : undefined;
  }

  /** Does `work` with the blob at `path`. `undefined`: there is none. */
  async #ifPresent<T>(action: string, path: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work().catch(async (error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error;
        // Where the whole store is gone (a volume that is not mounted any more) nothing can be said of its blobs.
        await stat(this.#blobs);
        return undefined;
      });
    } catch (error) {
      throw storageError(error, action, path);
    }
  }

  /** Makes the folder for the blob at `path`. */
  async #makeFolder(path: string): Promise<void> {
    const folder = join(path, '..');
    if (this.#folders.has(folder)) return;
    await mkdir(folder, FOLDER_MODE).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
    // Also when it was there: another put may not have come so far yet.
    if (this.#strict) await syncDirectory(this.#blobs);
    this.#folders.add(folder);
  }

  /**
   * Makes the name of a blob durable. Also for one that was there: another put may not have come so far yet. Puts that are ready
   * together share a sync.
   */
  async #syncFolder(path: string): Promise<void> {
    if (!this.#strict) return;
    const folder = join(path, '..');
    const sync = this.#syncs.get(folder) ?? new SharedRun(() => syncDirectory(folder));
    this.#syncs.set(folder, sync);
    await sync.request();
  }

  #blobPath(digest: Digest): string {
    const hex = digest.slice('sha256:'.length);
    // Digests come from our own hashing and index; a name that is not one must still never become a path.
    if (!BLOB_NAME.test(hex))
      throw new EntrepotError('storage', `expected a sha256 digest, found ${JSON.stringify(digest)}`);
    return join(this.#blobs, hex.slice(0, 2), hex);
  }

  #temporaryPath(): string {
    return join(this.#temporary, `${randomUUID()}.part`);
  }
}

/** Whether a file has the bytes of `digest`: bits may have changed since they were put. */
async function isFileOf(digest: Digest, path: string): Promise<boolean> {
  const hash = createHash('sha256');
  try {
    for await (const part of createReadStream(path) as AsyncIterable<Buffer>) hash.update(part);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
  return `sha256:${hash.digest('hex')}` === digest;
}

/** Writes the bytes of `source` and holds them against what was promised, as they pass. */
async function writeVerified(
  handle: FileHandle,
  digest: Digest,
  size: number,
  source: BlobSource,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  let length = 0;
  const stream = source.open();
  const abort = () => stream.destroy(signal?.reason instanceof Error ? signal.reason : undefined);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > size) throw new EntrepotError('integrity', `expected ${size} bytes of ${digest}, found more`);
      hash.update(chunk);
      await writeWhole(handle, chunk);
    }
    signal?.throwIfAborted();
  } finally {
    signal?.removeEventListener('abort', abort);
    stream.destroy();
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (length === size && found === digest) return;
  throw new EntrepotError('integrity', `expected ${size} bytes of ${digest}, found ${length} bytes of ${found}`);
}

/** One `write` may take less than it is given, just before the disk is full. */
async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, written);
    written += bytesWritten;
  }
}

async function readFolder(path: string): Promise<readonly Dirent[]> {
  return await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw storageError(error, 'list', path);
  });
}
