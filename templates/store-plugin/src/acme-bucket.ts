import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type {
  Bucket,
  Failure,
  GetOptions,
  ListedPage,
  ObjectBody,
  ObjectHead,
  ObjectReply,
} from '@entrepot/core/blobs';

/** Objects as files, in the place of the requests to a cloud. `ObjectBlobStore` repeats them, resumes bodies and checks bytes. */
export class AcmeBucket implements Bucket {
  readonly name: string;
  readonly idleTimeout = 30_000;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.name = `acme://${folder}`;
  }

  static async open(folder: string): Promise<AcmeBucket> {
    await mkdir(folder, { recursive: true });
    return new AcmeBucket(folder);
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    try {
      const { size, ino } = await stat(this.#pathOf(key));
      return { size, etag: String(ino) };
    } catch (error) {
      return absent(error);
    }
  }

  async get(key: string, { range, etag: wanted }: GetOptions): Promise<ObjectReply | 'absent' | 'beyond'> {
    const file = await open(this.#pathOf(key)).catch(absent);
    if (file === undefined) return 'absent';
    const { size: total, ino } = await file.stat();
    const [start, end] = [range?.start ?? 0, Math.min(range?.end ?? total - 1, total - 1)];
    if (range !== undefined && start >= total) {
      await file.close();
      return 'beyond';
    }
    if (wanted !== undefined && wanted !== String(ino)) {
      await file.close();
      throw new Error(`expected the object with the tag ${wanted}, found ${ino}`);
    }
    if (total > 0)
      return { body: createReadStream('', { fd: file, start, end }), start, end, total, etag: String(ino) };
    await file.close();
    return { body: Readable.from([]), start, end, total, etag: String(ino) };
  }

  /** Writes a file beside the others, and renames it when it is whole: nobody sees half an object. */
  async put(key: string, { open: bytes }: ObjectBody, signal?: AbortSignal): Promise<void> {
    const draft = join(this.#folder, `draft-${randomUUID()}`);
    try {
      await pipeline(bytes(), createWriteStream(draft, { flush: true }), signal === undefined ? {} : { signal });
      await mkdir(dirname(this.#pathOf(key)), { recursive: true });
      await rename(draft, this.#pathOf(key));
    } finally {
      await rm(draft, { force: true });
    }
  }

  async delete(key: string, etag?: string): Promise<boolean> {
    if (etag !== undefined && (await this.head(key))?.etag !== etag) return false;
    return await unlink(this.#pathOf(key)).then(
      () => true,
      (error: unknown) => absent(error) ?? false,
    );
  }

  /** All objects are one page. A cloud gives pages, and says where the next one begins. */
  async list(prefix: string): Promise<ListedPage> {
    const found = await readdir(this.#folder, { recursive: true, withFileTypes: true });
    const keys = found
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(this.#folder, '/').length).replaceAll('\\', '/'))
      .filter((key) => key.startsWith(prefix));
    const heads = await Promise.all(keys.map((key) => this.head(key)));
    const objects = keys.flatMap((key, at) => (heads[at] === undefined ? [] : [{ key, size: heads[at].size }]));
    return { objects, next: undefined };
  }

  failureOf(error: unknown): Failure {
    return { code: (error as NodeJS.ErrnoException).code ?? 'Error', status: undefined };
  }

  explain(error: unknown): string {
    return `${error instanceof Error ? error.message : String(error)}; set storage.folder`;
  }

  async dispose(): Promise<void> {}

  #pathOf(key: string): string {
    return join(this.#folder, key);
  }
}

/** Only what is surely not there is absent. A cloud that cannot be reached is a failure. */
function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
