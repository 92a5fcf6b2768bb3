import { EntrepotError } from '@entrepot/core';

/** What a full disk and a used-up quota look like. */
const FULL = new Set(['ENOSPC', 'EDQUOT']);

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
  const reason = code ?? (error instanceof Error ? error.message : String(error));
  return new EntrepotError('storage', `cannot ${action} ${path}: ${reason}`, {
    cause: error,
    ...(code !== undefined && FULL.has(code) ? { code: 'STORAGE_FULL' } : {}),
  });
}
