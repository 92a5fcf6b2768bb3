import type { SQLInputValue } from 'node:sqlite';
import { serialize } from 'node:v8';
import { openFile } from './sqlite-file.js';

/** The time for which a thread waits for a lock, in milliseconds. */
const LOCK_PATIENCE = 10_000;
/** The rows of one piece: to unpack them takes well under a millisecond. */
const PIECE = 250;

/** A statement that changes nothing in the file at `path`. */
export interface SqliteTask {
  readonly path: string;
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
}

/** The rows of a statement in pieces, each as `serialize` packs an array; or the error that it has met. */
export type SqliteAnswer =
  | { readonly pieces: readonly Uint8Array[] }
  | { readonly failure: { readonly message: string; readonly errcode?: unknown } };

/** Runs a statement on a connection of its own, which holds nothing open afterwards. */
export function runTask({ path, sql, parameters }: SqliteTask): SqliteAnswer {
  try {
    const database = openFile(path, { readOnly: true, timeout: LOCK_PATIENCE });
    try {
      const pieces: Uint8Array[] = [];
      let rows: unknown[] = [];
      for (const row of database.prepare(sql).iterate(...parameters)) {
        if (rows.push(row) < PIECE) continue;
        pieces.push(serialize(rows));
        rows = [];
      }
      return { pieces: [...pieces, serialize(rows)] };
    } finally {
      database.close();
    }
  } catch (error) {
    const { message, errcode } = error as Error & { readonly errcode?: unknown };
    return { failure: { message, errcode } };
  }
}
