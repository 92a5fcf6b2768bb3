import { scanError } from '../api/errors.js';

/** Makes the errors of the tool `id`: the scan failed, or there is nothing to scan with. */
export function toolErrors(id: string) {
  return {
    failed: (message: string, cause?: unknown) => scanError('SCAN_FAILED', `${id}: ${message}`, cause),
    unavailable: (message: string, cause?: unknown) => scanError('SCAN_UNAVAILABLE', `${id}: ${message}`, cause),
  };
}
