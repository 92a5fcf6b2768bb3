import { createHash, hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { builtProgram, printed, WorkerPool, WorkTurns, ZipError, ZipReader } from '@entrepot/core/formats';
import type { ZipFile } from '@entrepot/core/formats';
import { isFilePath } from './module-path.js';

/** The largest zip of a module, packed and unpacked, in bytes: Go's own bound (golang.org/x/mod/zip, MaxZipFile). */
export const LARGEST_ZIP = 500 * 1024 * 1024;
/** The largest `go.mod` and LICENSE, in bytes: Go's own bound (golang.org/x/mod/zip, MaxGoMod). */
export const LARGEST_GO_MOD = 16 * 1024 * 1024;

/** Hashing 100 MB takes seconds: the server answers others meanwhile. */
const WORKERS = Math.max(1, Math.min(4, availableParallelism() - 1));
/** Zips that are smaller, in bytes, are hashed faster than a worker is asked. */
const SMALL = 64 * 1024;

/** A zip to hash: its path or its bytes, and the version that it must be of. */
export interface HashTask {
  readonly source: string | Uint8Array;
  readonly module: string;
  readonly version: string;
}

/** The hashes of a module's zip. */
export interface ZipSums {
  /** The `h1:` hash of the whole. */
  readonly hash: string;
  /** The `h1:` hash of its `go.mod` alone; absent where it has none. */
  readonly goModHash?: string | undefined;
}

/** Worker threads that hash the zips of modules. Started when the first one is needed; they keep no process alive. */
export class HashPool {
  readonly #threads = new WorkerPool<HashTask, ZipSums>(
    builtProgram(import.meta.url, 'hash-worker', () => hashZip),
    { most: WORKERS },
  );

  /**
   * Hashes a zip.
   * @param size bytes of the zip
   * @throws ZipError saying what is wrong with the zip
   */
  async hash(task: HashTask, size: number): Promise<ZipSums> {
    return size < SMALL ? await hashZip(task, new WorkTurns()) : await this.#threads.run(task);
  }

  /** Ends the workers; what waits for them fails. */
  async dispose(): Promise<void> {
    await this.#threads.dispose(new Error('the server is shutting down'));
  }
}

/** Computes the `h1:` hash of a `go.mod` file. */
export function hashGoMod(bytes: Uint8Array): string {
  return summary([['go.mod', hash('sha256', bytes)]]);
}

/**
 * Reads a module's zip whole, checks it by the rules of `go` (golang.org/x/mod/zip, CheckZip) and sums it up
 * (golang.org/x/mod/sumdb/dirhash, Hash1).
 * @param turns absent where nobody else is kept waiting
 * @throws ZipError saying what is wrong
 */
export async function hashZip({ source, module, version }: HashTask, turns?: WorkTurns): Promise<ZipSums> {
  const zip = new ZipReader(source);
  try {
    const prefix = `${module}@${version}/`;
    checkFiles(zip.files, prefix);
    const sums: [string, string][] = [];
    let goModHash: string | undefined;
    // As they lie in the zip: it is read from its beginning to its end.
    for (const file of [...zip.files].sort((one, other) => one.offset - other.offset)) {
      const bytes = zip.whole(file);
      const sum = bytes === undefined ? await sumOf(zip.content(file)) : hash('sha256', bytes);
      if (file.name === `${prefix}go.mod`) goModHash = summary([['go.mod', sum]]);
      sums.push([file.name, sum]);
      await turns?.pause();
    }
    return { hash: summary(sums), goModHash };
  } finally {
    zip.close();
  }
}

async function sumOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const sum = createHash('sha256');
  for await (const bytes of content) sum.update(bytes);
  return sum.digest('hex');
}

/** `h1:` of lines of `hash  name`, names in the order of their bytes. */
function summary(sums: readonly (readonly [name: string, sum: string])[]): string {
  const lines = sums
    .map(([name, sum]) => ({ name: Buffer.from(name), sum }))
    .sort((one, other) => Buffer.compare(one.name, other.name));
  const whole = createHash('sha256');
  for (const { name, sum } of lines) whole.update(`${sum}  `).update(name).update('\n');
  return `h1:${whole.digest('base64')}`;
}

function checkFiles(files: readonly ZipFile[], prefix: string): void {
  const folded = new Map<string, string>();
  let total = 0;
  for (const { name, size } of files) {
    if (!name.startsWith(prefix)) throw new ZipError(`${printed(name)} is not below ${prefix}`);
    const inside = name.slice(prefix.length);
    const isFolder = inside === '' || inside.endsWith('/');
    const path = isFolder ? inside.slice(0, -1) : inside;
    if (path !== '') {
      if (!isFilePath(path)) throw new ZipError(`${printed(name)} is no name for a file of a module`);
      checkCollisions(folded, path, isFolder);
    }
    if (isFolder) {
      if (size > 0) throw new ZipError(`the folder ${printed(name)} has content`);
      continue;
    }
    const base = path.slice(path.lastIndexOf('/') + 1);
    if (base.toLowerCase() === 'go.mod' && path !== 'go.mod') {
      throw new ZipError(`${printed(name)}: a go.mod is only possible at the root, and in lower case`);
    }
    if ((path === 'go.mod' || path === 'LICENSE') && size > LARGEST_GO_MOD) {
      throw new ZipError(`${path} has more than ${LARGEST_GO_MOD} bytes`);
    }
    total += size;
    if (total > LARGEST_ZIP) throw new ZipError(`the zip unpacks to more than ${LARGEST_ZIP} bytes`);
  }
}

/** Names, and the folders that they are in, must differ where case does not count. */
function checkCollisions(folded: Map<string, string>, path: string, isFolder: boolean): void {
  const above: string[] = [];
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const folder = path.slice(0, end);
    // Those above it were checked with it.
    if (folded.get(foldCase(folder)) === `d${folder}`) break;
    above.push(folder);
  }
  for (const folder of above.reverse()) checkCollision(folded, folder, 'd');
  checkCollision(folded, path, isFolder ? 'd' : 'f');
}

function checkCollision(folded: Map<string, string>, place: string, kind: 'd' | 'f'): void {
  const mark = kind + place;
  const key = foldCase(place);
  const known = folded.get(key);
  if (known === undefined) folded.set(key, mark);
  else if (known !== mark)
    throw new ZipError(`${printed(known.slice(1))} and ${printed(place)} collide where case does not count`);
}

/** Simple case folding, also of the Kelvin sign and the long s. */
function foldCase(text: string): string {
  // Most names are ASCII.
  if (!/[^ -~]/.test(text)) return text.toLowerCase();
  let folded = '';
  for (const sign of text) {
    const upper = sign.toUpperCase();
    folded += ([...upper].length === 1 ? upper : sign).toLowerCase();
  }
  return folded;
}
