import { EntrepotError } from '../api/errors.js';

/** The error of a scan that gave no report. */
export function scanError(code: `SCAN_${string}`, message: string, cause?: unknown): EntrepotError {
  return new EntrepotError('scan-unavailable', message, { code, cause });
}

/** Makes the errors of the tool `id`: the scan failed, or there is nothing to scan with. */
export function toolErrors(id: string) {
  return {
    failed: (message: string, cause?: unknown) => scanError('SCAN_FAILED', `${id}: ${message}`, cause),
    unavailable: (message: string, cause?: unknown) => scanError('SCAN_UNAVAILABLE', `${id}: ${message}`, cause),
  };
}
