import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const CURRENT = 'current';
const REVISIONS = 'revisions';

/**
 * The folder of a tool's database. Either somebody else keeps the database in it, or revisions are downloaded:
 *
 *     current -> revisions/<id>     replaced as a whole, so that a run sees the old one or the new one
 *     revisions/<id>/…
 *
 * A revision stays until the one after the next is there: runs that started with it go on. One process downloads into a folder.
 */
export class DatabaseFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  /** The path of the database in use. It may not exist yet. */
  async current(): Promise<string> {
    const target = await readlink(join(this.#folder, CURRENT)).catch(() => undefined);
    return target === undefined ? this.#folder : join(this.#folder, target);
  }

  /**
   * Lets `fill` put a revision into an empty folder, and takes it in use. When it throws, or says that there was none, nothing has
   * changed.
   */
  async replace(fill: (folder: string) => Promise<boolean>): Promise<void> {
    const id = randomUUID();
    const folder = join(this.#folder, REVISIONS, id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const before = await readlink(join(this.#folder, CURRENT)).catch(() => undefined);
    let filled = false;
    try {
      filled = await fill(folder);
    } finally {
      if (!filled) await rm(folder, { recursive: true, force: true });
    }
    if (!filled) return;
    const link = join(this.#folder, `${CURRENT}.${id}`);
    await symlink(join(REVISIONS, id), link);
    await rename(link, join(this.#folder, CURRENT));
    await this.#sweep([join(REVISIONS, id), before]);
  }

  async #sweep(kept: readonly (string | undefined)[]): Promise<void> {
    for (const name of await readdir(join(this.#folder, REVISIONS))) {
      const path = join(REVISIONS, name);
      if (!kept.includes(path)) await rm(join(this.#folder, path), { recursive: true, force: true });
    }
  }
}
