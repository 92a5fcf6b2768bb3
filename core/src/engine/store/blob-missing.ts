import { EntrepotError } from '../../api/errors.js';

/** The error for bytes that an entry points at and the store does not have. */
export function blobMissing(which: string): EntrepotError {
  return new EntrepotError('storage', `The blob ${which} is missing`, { code: 'BLOB_MISSING' });
}

/** Whether `error` is that error. */
export function isBlobMissing(error: unknown): boolean {
  return error instanceof EntrepotError && error.code === 'BLOB_MISSING';
}
