import type { IncomingMessage } from 'node:http';
import { messageOf } from '@entrepot/core';
import { type Failure, systemCodeOf, textOf } from '@entrepot/core/blobs';
import type { GcsOptions } from './options.js';

/** The most of an answer that says what went wrong, in bytes. */
const MAX_ERROR_BYTES = 64 * 1024;

/** An answer that is no success. */
export class GcsError extends Error {
  readonly status: number;
  /** The reason that Google gives (`notFound`). */
  readonly code: string;

  /** Whether it says so that it is the bucket which is missing, and not an object. */
  readonly saysNoBucket: boolean;

  constructor(status: number, code: string, message: string) {
    super(`status ${status} ${code}: ${message}`);
    this.name = 'GcsError';
    this.status = status;
    this.code = code;
    this.saysNoBucket = /bucket does not exist/i.test(message);
  }
}

/** Credentials that cannot be had. */
export class CredentialsError extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
    this.name = 'CredentialsError';
  }
}

/** Reads an answer that says what went wrong. */
export async function errorOf(answer: IncomingMessage): Promise<GcsError> {
  const { statusCode: status = 0 } = answer;
  // The status says enough where the body breaks off.
  const text = await textOf(answer, MAX_ERROR_BYTES).catch(() => '');
  try {
    const { error } = JSON.parse(text) as { error: { message?: unknown; errors?: { reason?: unknown }[] } };
    return new GcsError(status, String(error.errors?.[0]?.reason ?? 'error'), String(error.message));
  } catch {
    return new GcsError(status, 'error', (text.split('\n', 1)[0] ?? '').slice(0, 200));
  }
}

/** Reads the facts of a failed request. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GcsError) return { code: error.code, status: error.status };
  const name = error instanceof Error ? error.name : 'Error';
  return { code: systemCodeOf(error) ?? name, status: undefined };
}

/** Says why a bucket cannot be used, and what to set. */
export function explainFailure(error: unknown, { bucket, endpoint = 'Google Cloud Storage' }: GcsOptions): string {
  const { code, status } = failureOf(error);
  const [said = ''] = messageOf(error).split('\n', 1);
  if (error instanceof CredentialsError || status === 401)
    return `the credentials are not there or not accepted; set storage.keyFile, or what Google's tools of this machine use (${said})`;
  if (status === 403)
    return `a permission is missing; give the service account the role Storage Object Admin on the bucket (${said})`;
  if (status === 404) return `there is no bucket ${bucket} in ${endpoint}; create it, or set storage.bucket`;
  if (status === undefined && systemCodeOf(error) !== undefined)
    return `${endpoint} cannot be reached (${said}); set storage.endpoint, or mend the network`;
  return status === undefined ? said : `the server said ${status} ${code}: ${said}`;
}
