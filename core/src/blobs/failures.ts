import { EntrepotError, messageOf, storageFull } from '../api/errors.js';

/** The facts of a failed request. */
export interface Failure {
  /** The code of the store, else that of the system, else the name of the error. */
  readonly code: string;
  /** The status of the reply. `undefined`: there was none. */
  readonly status: number | undefined;
}

/** A reply that is none of the store, such as the page of a captive portal, or to another question. */
export class UnexpectedReply extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnexpectedReply';
  }
}

/** The code of a failed system call (`ECONNRESET`), or of one below it. */
export function systemCodeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string' && /^E[A-Z_]+$/.test(at.code)) return at.code;
  }
  return undefined;
}

/** Statuses and codes after which the same request may succeed. */
const PASSING_STATUSES = new Set([408, 429, 500, 502, 503, 504]);
const PASSING_CODES = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
]);
/** Codes of a store that has no room. */
const FULL = new Set(['InsufficientStorage', 'QuotaExceeded', 'AccountLimitExceeded']);

/** Whether the same request may succeed soon. */
export function mayPass(error: unknown, { code, status }: Failure): boolean {
  if (error instanceof EntrepotError || error instanceof UnexpectedReply) return false;
  return PASSING_CODES.has(code) || (status !== undefined && PASSING_STATUSES.has(status));
}

/**
 * A failed request as an `EntrepotError` of kind `storage`, with the code `STORAGE_FULL` when the store has no room. An error that
 * is ours already stays as it is.
 * @param action what failed: `write`, `list` …
 */
export function bucketError(error: unknown, { code, status }: Failure, action: string, where: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  // One line, and short: some stores answer with a whole page.
  const text = (messageOf(error).split('\n', 1)[0] ?? '').slice(0, 300);
  const message = `cannot ${action} ${where}: ${text.includes(code) ? text : `${code}: ${text}`}`;
  if (status === 507 || FULL.has(code)) return storageFull(message, error);
  return new EntrepotError('storage', message, { cause: error });
}
