import type { Config } from '../../../config/schema.js';

/** The settings of a store in a bucket. */
export type S3Settings = Pick<
  Extract<Config['storage'], { backend: 's3' }>,
  | 'bucket'
  | 'region'
  | 'endpoint'
  | 'prefix'
  | 'pathStyle'
  | 'credentials'
  | 'encryption'
  | 'connections'
  | 'connectTimeout'
  | 'headersTimeout'
  | 'idleTimeout'
>;

/** The name of a store for people: `s3://bucket/prefix`. */
export function bucketName({ bucket, prefix }: Pick<S3Settings, 'bucket' | 'prefix'>): string {
  return prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
}
