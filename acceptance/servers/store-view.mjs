import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';

/** @typedef {Record<string, string | number | null>} Row */

/** Looks into the stores of servers, past them. */
export class StoreView {
  #blobs;
  #all;
  #files;

  /**
   * @param {string} blobs the folder of the blobs
   * @param {(sql: string) => Promise<readonly Row[]>} all runs one statement
   * @param {() => Promise<Map<string, number>>} [files] lists blobs that are not in a folder, with their sizes
   */
  constructor(blobs, all, files) {
    this.#blobs = blobs;
    this.#all = all;
    this.#files = files;
  }

  /**
   * Views stores whose database is a file.
   * @param {string} blobs
   * @param {string} database
   * @param {() => Promise<Map<string, number>>} [files] as the constructor takes it
   */
  static ofFile(blobs, database, files) {
    const all = async (/** @type {string} */ sql) => {
      // Opened for each statement: a server that ends puts the log into the file only when nobody else has it open.
      const opened = new DatabaseSync(database, { timeout: 10_000 });
      try {
        return /** @type {Row[]} */ (opened.prepare(sql).all());
      } finally {
        opened.close();
      }
    };
    return new StoreView(blobs, all, files);
  }

  /** Views stores whose database is PostgreSQL. @param {string} blobs @param {string} url */
  static ofPostgres(blobs, url) {
    return new StoreView(blobs, async (sql) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        return (await client.query(sql)).rows;
      } finally {
        await client.end();
      }
    });
  }

  /** The size of every blob that is stored, by its digest. */
  async files() {
    if (this.#files !== undefined) return await this.#files();
    /** @type {Map<string, number>} */
    const found = new Map();
    for (const [path, size] of await filesBelow(join(this.#blobs, 'v1', 'sha256'))) {
      found.set(`sha256:${path.slice(path.lastIndexOf('/') + 1)}`, size);
    }
    return found;
  }

  /** The bytes of all files in the folder, also of those that are being written. */
  async bytesOnDisk() {
    let sum = 0;
    for (const [, size] of await filesBelow(this.#blobs)) sum += size;
    return sum;
  }

  /** The bytes of all blobs, as the database counts them. */
  async usedBytes() {
    const [row] = await this.#all(`select bytes from usage where repository = ''`);
    return Number(row?.bytes ?? 0);
  }

  /** The catalogue: the size and the state of each blob, by its digest. */
  async catalogue() {
    const rows = await this.#all('select digest, size, state from blobs');
    return new Map(
      rows.map(({ digest, size, state }) => [String(digest), { size: Number(size), state: String(state) }]),
    );
  }

  /** The blobs that entries point at: the digest and the size of each. */
  async entries() {
    const rows = await this.#all('select repository, key, digest, size from entries');
    return rows.map(({ repository, key, digest, size }) => ({
      repository: String(repository),
      key: String(key),
      digest: String(digest),
      size: Number(size),
    }));
  }

  /** The bytes that entries point at, each blob once. */
  async namedBytes() {
    const sizes = new Map((await this.entries()).map(({ digest, size }) => [digest, size]));
    let sum = 0;
    for (const size of sizes.values()) sum += size;
    return sum;
  }

  /** The state of a blob in the catalogue; `undefined`: it has no row. @param {string} digest */
  async stateOf(digest) {
    const [row] = await this.#all(`select state from blobs where digest = '${digest}'`);
    return row && String(row.state);
  }

  /** The number of holds that have not ended. */
  async holds() {
    const [row] = await this.#all(`select count(*) as count from holds where until > ${Date.now()}`);
    return Number(row?.count);
  }

  /** Ends, before its time, what processes that are dead have begun: their holds and their deletions. None may run. */
  async forgetTheDead() {
    await this.#all('update holds set until = 0');
    await this.#all(`update blobs set since = 0 where state = 'deleting'`);
  }

  /** Blobs on the disk or in the catalogue that no entry points at. @returns {Promise<readonly string[]>} a line for each difference */
  async differences() {
    const [files, catalogue, entries] = await Promise.all([this.files(), this.catalogue(), this.entries()]);
    const named = new Map(entries.map(({ digest, size }) => [digest, size]));
    const lines = [];
    for (const digest of files.keys()) {
      if (!named.has(digest))
        lines.push(`${digest}: a file that no entry points at, ${catalogue.get(digest)?.state ?? 'without a row'}`);
    }
    for (const digest of catalogue.keys()) {
      if (!files.has(digest)) lines.push(`${digest}: a row (${catalogue.get(digest)?.state}) without a file`);
    }
    for (const { repository, key, digest, size } of entries) {
      const found = files.get(digest);
      if (found !== size)
        lines.push(`${repository} ${key}: ${size} bytes of ${digest} were expected on the disk, found ${found}`);
    }
    return lines;
  }
}

/** All files below a folder with their sizes. What goes meanwhile is left out. @param {string} folder @returns {Promise<readonly (readonly [string, number])[]>} */
async function filesBelow(folder) {
  const found = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const sizes = await Promise.all(
    files.map((file) =>
      lstat(file).then(
        ({ size }) => size,
        () => undefined,
      ),
    ),
  );
  return files.flatMap((file, at) => {
    const size = sizes[at];
    return size === undefined ? [] : [/** @type {const} */ ([file, size])];
  });
}
