import { EntrepotError, messageOf, storageFull } from '@entrepot/core';
import { type RetryOptions, withRetries as retried } from '@entrepot/core/blobs';
import { systemCode } from '../storage-error.js';

/** A reply that is no success, or that is none of S3 at all. */
export class S3ReplyError extends Error {
  readonly status: number;
  /** The code of S3 (`NoSuchKey`). Absent: the reply had none. */
  readonly code: string | undefined;
  /** The headers of the reply. */
  readonly headers: Readonly<Record<string, unknown>>;

  constructor(
    message: string,
    reply: { readonly status: number; readonly code?: string | undefined; readonly headers?: Record<string, unknown> },
  ) {
    super(message);
    this.name = 'S3ReplyError';
    this.status = reply.status;
    this.code = reply.code;
    this.headers = reply.headers ?? {};
  }
}

/** The facts of a failed request. */
export interface Failure {
  /** The code of S3, else that of the system, else the name of the error. */
  readonly code: string;
  /** The status of the reply. Absent: there was none. */
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Members that the SDK adds to its errors. */
interface SdkError {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Record<string, unknown> };
}

/** Reads the facts of an error of the SDK, of a reply of our own requests, or of the system. */
export function failureOf(error: unknown): Failure {
  if (error instanceof S3ReplyError)
    return { code: error.code ?? `status ${error.status}`, status: error.status, headers: error.headers };
  const { name, $metadata, $response } = Object(error) as SdkError;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  const code = (status === undefined ? systemCode(error) : undefined) ?? name ?? 'Error';
  return { code, status, headers: $response?.headers ?? {} };
}

/** Statuses and codes after which the same request may succeed. */
const PASSING_STATUSES = new Set([408, 429, 500, 502, 503, 504]);
const PASSING_CODES = new Set([
  'ConditionalRequestConflict',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'OperationAborted',
  'RequestTimeout',
  'SlowDown',
  'TimeoutError',
]);

/** Whether the same request may succeed soon. */
export function mayPass(error: unknown): boolean {
  if (error instanceof EntrepotError) return false;
  const { code, status } = failureOf(error);
  return PASSING_CODES.has(code) || (status !== undefined && PASSING_STATUSES.has(status));
}

/** Codes of a store that has no room. */
const FULL = new Set(['InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull', 'StorageFull']);

/**
 * A failed request as an `EntrepotError` of kind `storage`, with the code `STORAGE_FULL` when the store has no room. An error that
 * is ours already stays as it is.
 * @param action what failed: `write`, `list` …
 */
export function s3Error(error: unknown, action: string, where: string): EntrepotError {
  if (error instanceof EntrepotError) return error as EntrepotError;
  const { code, status } = failureOf(error);
  const text = messageOf(error);
  const message = `cannot ${action} ${where}: ${text.includes(code) ? text : `${code}: ${text}`}`;
  if (status === 507 || FULL.has(code)) return storageFull(message, error);
  return new EntrepotError('storage', message, { cause: error });
}

/** Does `work` again while it fails for a reason that may pass. */
export async function withRetries<T>(work: () => Promise<T>, options: Omit<RetryOptions, 'mayPass'>): Promise<T> {
  return await retried(work, { ...options, mayPass });
}
