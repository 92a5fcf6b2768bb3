import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Bytes. */
const BLOB_SIZE = 100;
/** One blob in so many is pointed at by nothing. */
const ABANDONED = 20;
const DAY = 86_400_000;

/** The repositories, and the one folder that is large. */
export const FOLDER = 'listed';
export const FOLDER_ENTRIES = 50_000;

/**
 * Fills stores that were opened once. Entries share blobs; a twentieth of these nobody needs.
 * @param {{ blobs: string, database: string, entries: number, count: number }} options `count`: of blobs
 * @returns {number} the number of blobs that nothing points at
 */
export function fillStores({ blobs, database, entries, count }) {
  const digests = writeBlobs(join(blobs, 'v1', 'sha256'), count);
  const opened = new DatabaseSync(database);
  try {
    opened.exec('pragma synchronous = off');
    opened.exec('begin');
    const blob = opened.prepare(
      `insert into blobs (digest, size, state, seq, visited, since) values (?, ?, 'live', ?, ?, ?)`,
    );
    const start = Date.now() - 300 * DAY;
    for (const [at, digest] of digests.entries())
      blob.run(digest, BLOB_SIZE, start + at * 100, at % 3 === 0 ? 1 : 0, start);
    const entry = opened.prepare(
      `insert into entries (repository, key, digest, size, media_type, headers, etag, upstream_url, fetched_at, checked_at, integrity,
        ecosystem, name, version) values (?, ?, ?, ${BLOB_SIZE}, 'application/octet-stream', '{}', ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    const needed = digests.filter((_, at) => at % ABANDONED !== 0);
    for (let at = 0; at < entries; at += 1) {
      const digest = /** @type {string} */ (needed[(at * 7919) % needed.length]);
      entry.run(...rowOf(at, digest, start + at * 20));
    }
    opened.exec(`insert into revisions (repository, revision) values ('own', 1) on conflict do nothing`);
    opened.exec('commit');
    opened.exec('pragma wal_checkpoint(truncate)');
    return digests.length - needed.length;
  } finally {
    opened.close();
  }
}

/** The bytes of all blobs. @param {string} database */
export function usedBytes(database) {
  const opened = new DatabaseSync(database, { timeout: 10_000 });
  try {
    return Number(opened.prepare(`select bytes from usage where repository = ''`).get()?.bytes);
  } finally {
    opened.close();
  }
}

/** Files that are asked for: the key of each in the repository `files`. @param {number} at */
export function hitKey(at) {
  return `folder-${at % 1000}/file-${at}.bin`;
}

/** The row of an entry: one folder of uploads, npm tarballs, files. @param {number} at @param {string} digest @param {number} time */
function rowOf(at, digest, time) {
  const integrity = JSON.stringify([{ algorithm: 'sha256', hex: digest.slice('sha256:'.length) }]);
  if (at < FOLDER_ENTRIES) {
    const key = `${FOLDER}/file-${String(at).padStart(6, '0')}.bin`;
    return /** @type {const} */ (['own', key, digest, null, null, time, time, '[]', null, null, null]);
  }
  if (at % 3 === 0) {
    const [name, version] = [`package-${at % 20_000}`, `1.${Math.floor(at / 20_000)}.0`];
    const key = `${name}/-/${name}-${version}.tgz`;
    const url = `https://registry.example.com/${key}`;
    return /** @type {const} */ (['npm', key, digest, `"${at}"`, url, time, time, integrity, 'npm', name, version]);
  }
  const url = `https://files.example.com/${hitKey(at)}`;
  return /** @type {const} */ (['files', hitKey(at), digest, `"${at}"`, url, time, time, '[]', null, null, null]);
}

/** Writes small blobs. @param {string} folder @param {number} count @returns {readonly string[]} their digests */
function writeBlobs(folder, count) {
  for (let at = 0; at < 256; at += 1) mkdirSync(join(folder, at.toString(16).padStart(2, '0')), { recursive: true });
  return Array.from({ length: count }, (_, at) => {
    const bytes = Buffer.alloc(BLOB_SIZE, `blob ${at} `);
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(folder, hex.slice(0, 2), hex), bytes, { mode: 0o600 });
    return `sha256:${hex}`;
  });
}
