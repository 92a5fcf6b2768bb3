import { hash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../api/clock.js';
import { asEntrepotError } from '../../api/errors.js';
import type { Logger } from '../../api/logger.js';
import { DamagedTableError, FileTable } from '../../formats/tables/index.js';

const TABLE = /^[0-9a-f]{64}\.table$/;
const UNFINISHED = /^[0-9a-f]{64}\.[0-9a-f-]{36}\.new$/;
/** Milliseconds after which nobody writes a file any more that is not finished. */
const ABANDONED = 3_600_000;

/** Writes the table with this name into a file that does not exist. */
export type WriteTable = (path: string, name: string) => Promise<void>;

/**
 * Tables of large documents, which all repositories and processes share. It may always be emptied: what is missing, damaged or foreign is
 * made anew. Those that were opened longest ago go when there is no room.
 */
export class TableFolder {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Tables that somebody still has. */
  readonly #open = new Map<string, WeakRef<FileTable>>();
  readonly #opening = new Map<string, Promise<FileTable>>();

  constructor(path: string, maxBytes: number, clock: Clock, logger: Logger) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Finds the table of this name, or makes it: once for all who ask meanwhile.
   * @param name the identity of what it is made from
   * @throws what `write` throws
   */
  async find(name: string, write: WriteTable): Promise<FileTable> {
    const known = this.#open.get(name)?.deref();
    if (known?.isDamaged === false) return known;
    const running = this.#opening.get(name);
    if (running === undefined) return await this.#shared(name, write);
    try {
      return await running;
    } catch {
      // The bytes of another repository may have gone with its flight: ours are here.
      return await this.find(name, write);
    }
  }

  async #shared(name: string, write: WriteTable): Promise<FileTable> {
    const opening = this.#kept(name).then((kept) => kept ?? this.#made(name, write));
    this.#opening.set(name, opening);
    try {
      const table = await opening;
      this.#open.set(name, new WeakRef(table));
      return table;
    } finally {
      this.#opening.delete(name);
    }
  }

  async #kept(name: string): Promise<FileTable | undefined> {
    const path = this.#pathOf(name);
    try {
      const table = await FileTable.open(path, name);
      const now = new Date(this.#clock.now());
      await utimes(path, now, now).catch(() => {});
      return table;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#logger.warn({ error, path }, 'a table cannot be read and is made anew');
      return undefined;
    }
  }

  async #made(name: string, write: WriteTable): Promise<FileTable> {
    const path = this.#pathOf(name);
    const unfinished = join(this.#path, `${hash('sha256', name)}.${randomUUID()}.new`);
    try {
      await mkdir(this.#path, { recursive: true, mode: 0o700 });
      await write(unfinished, name);
      const now = new Date(this.#clock.now());
      await utimes(unfinished, now, now);
      await rename(unfinished, path);
      const table = await FileTable.open(path, name);
      await this.#makeRoom();
      return table;
    } catch (error) {
      throw error instanceof DamagedTableError
        ? asEntrepotError(error, 'storage', 'A table that was just written is damaged')
        : asEntrepotError(error, 'storage', 'A table cannot be kept');
    } finally {
      await rm(unfinished, { force: true });
    }
  }

  /** Removes the tables that were opened longest ago, and what crashes left behind. */
  async #makeRoom(): Promise<void> {
    for (const [name, table] of this.#open) if (table.deref() === undefined) this.#open.delete(name);
    const inUse = new Set(Array.from(this.#open.keys(), (name) => this.#pathOf(name)));
    const now = this.#clock.now();
    const tables: { readonly path: string; readonly size: number; readonly usedAt: number }[] = [];
    for (const file of await readdir(this.#path)) {
      const path = join(this.#path, file);
      // Another process may remove it meanwhile.
      const found = TABLE.test(file) || UNFINISHED.test(file) ? await stat(path).catch(() => undefined) : undefined;
      if (found === undefined) continue;
      if (TABLE.test(file)) tables.push({ path, size: found.size, usedAt: inUse.has(path) ? now : found.mtimeMs });
      else if (Date.now() - found.mtimeMs > ABANDONED) await this.#remove(path);
    }
    let left = tables.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of tables.sort((one, other) => one.usedAt - other.usedAt)) {
      if (left <= this.#maxBytes) return;
      await this.#remove(path);
      left -= size;
    }
  }

  async #remove(path: string): Promise<void> {
    await rm(path, { force: true }).catch((error: unknown) => {
      this.#logger.warn({ error, path }, 'a table cannot be removed');
    });
  }

  #pathOf(name: string): string {
    return join(this.#path, `${hash('sha256', name)}.table`);
  }
}
