import { EntrepotError, isFull, messageOf, storageFull } from '@entrepot/core';

/** The code of a failed system call (`ENOENT`), or `undefined` for any other error. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * A failed file operation as an `EntrepotError` of kind `storage`, with the code `STORAGE_FULL` when the disk or the quota
 * is full. An error that is ours already stays as it is.
 * @param action what failed: `write`, `list` …
 */
export function storageError(error: unknown, action: string, path: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  const code = systemCode(error);
  const reason = code ?? messageOf(error);
  const message = `cannot ${action} ${path}: ${reason}`;
  return isFull(error) ? storageFull(message, error) : new EntrepotError('storage', message, { cause: error });
}
