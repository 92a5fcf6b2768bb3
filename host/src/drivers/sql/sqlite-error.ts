import { EntrepotError, messageOf } from '@entrepot/core';

/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
export const RESULTS = { busy: 5, corrupt: 11, full: 13, notADatabase: 26 } as const;

/** The primary result code of an error of SQLite; `undefined` for an error of another kind. */
export function resultOf(error: unknown): number | undefined {
  const code = extendedResultOf(error);
  return code === undefined ? undefined : code & 0xff;
}

/**
 * The error of a failed call of SQLite: `storage`, with the code `STORAGE_BUSY` where another process held the lock, `STORAGE_FULL`
 * where the disk is full.
 * @param path names the database
 */
export function sqliteError(error: unknown, path: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  const code = extendedResultOf(error);
  const reason = `${messageOf(error)}${code === undefined ? '' : ` (result code ${code} of SQLite)`}`;
  const result = resultOf(error);
  return new EntrepotError('storage', `the database ${path} failed: ${reason}`, {
    cause: error,
    ...(result === RESULTS.full ? { code: 'STORAGE_FULL', status: 507 } : {}),
    ...(result === RESULTS.busy ? { code: 'STORAGE_BUSY' } : {}),
  });
}

function extendedResultOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode;
}
