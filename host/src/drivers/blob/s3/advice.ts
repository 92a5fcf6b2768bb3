import { messageOf } from '@entrepot/core';
import { failureOf, type Failure } from './failure.js';
import { bucketName, type S3Settings } from './settings.js';

/** Codes of credentials that are not accepted. */
const CREDENTIALS = new Set([
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
]);
const REGION = new Set(['AuthorizationHeaderMalformed', 'IllegalLocationConstraintException', 'PermanentRedirect']);
const UNREACHABLE = new Set(['EAI_AGAIN', 'ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', 'TimeoutError']);

/**
 * Explains why a bucket cannot be used, and what to set.
 * @param error what the first request that failed was answered with
 * @param now the time of this machine, in milliseconds since 1970
 */
export function explainFailure(error: unknown, settings: S3Settings, now: number): string {
  const failure = failureOf(error);
  return `cannot use ${bucketName(settings)}: ${reasonOf(error, failure, settings, now)}`;
}

function reasonOf(error: unknown, failure: Failure, settings: S3Settings, now: number): string {
  const { code, status, headers } = failure;
  const { bucket, endpoint = 'the endpoint of the region', region = 'that of the environment' } = settings;
  const said = status === undefined ? messageOf(error) : `the server said ${status} ${code}: ${messageOf(error)}`;
  if (code === 'NoSuchBucket') return `there is no bucket ${bucket} at ${endpoint}; create it, or set storage.bucket`;
  if (code === 'RequestTimeTooSkewed') {
    const date = Date.parse(String(headers['date'] ?? ''));
    const by = Number.isNaN(date) ? '' : ` by ${Math.round(Math.abs(now - date) / 1000)} s`;
    const way = now > date ? ' (this one is ahead)' : ' (this one is behind)';
    return `the clocks of this machine and of the server differ${by}${by && way}; set the clock of this machine`;
  }
  const expected = regionOf(error, failure);
  if (REGION.has(code) || (expected !== undefined && status === 301)) {
    const where = expected === undefined ? 'another region' : `the region ${expected}`;
    return `the bucket is in ${where}, and storage.region is ${region}; set storage.region${expected === undefined ? '' : ` to ${expected}`} (${said})`;
  }
  if (CREDENTIALS.has(code)) return `the credentials are not accepted; set storage.credentials (${said})`;
  if (code === 'CredentialsProviderError')
    return `no credentials were found; set storage.credentials, or what the AWS tools of this machine use (${said})`;
  if (code === 'AccessDenied' || status === 403) {
    return `a permission is missing; give the user s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket (${said})`;
  }
  if (UNREACHABLE.has(code))
    return `${endpoint} cannot be reached (${said}); set storage.endpoint, or mend the network`;
  if (/region is missing/i.test(messageOf(error))) return 'no region is known; set storage.region';
  return said;
}

/** The region that the server expects, where it says so. */
function regionOf(error: unknown, { headers }: Failure): string | undefined {
  const { Region } = Object(error) as { readonly Region?: unknown };
  const named = Region ?? headers['x-amz-bucket-region'] ?? /expecting '([a-z0-9-]+)'/.exec(messageOf(error))?.[1];
  return typeof named === 'string' ? named : undefined;
}
