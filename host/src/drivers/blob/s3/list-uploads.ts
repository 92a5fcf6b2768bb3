import type { ListMultipartUploadsCommandOutput, MultipartUpload } from '@aws-sdk/client-s3';
import { abortUpload } from './abort-upload.js';
import type { S3Connection } from './connection.js';
import { s3Error, S3ReplyError } from './failure.js';

/** An upload in parts that has not ended. */
export interface ListedUpload {
  readonly key: string;
  /** Milliseconds since the epoch. `Infinity`: the server does not say. */
  readonly startedAt: number;
  remove(): Promise<void>;
}

/** The number of uploads in one page. */
const PAGE = 1000;

/**
 * Uploads in parts below `prefix` that have not ended, in the order of their keys, but for those of this process. Of several for one
 * key, some may be left out where a page ends: the next listing has them.
 */
export async function* listUploads(
  connection: S3Connection,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<ListedUpload> {
  for (let after = ''; ;) {
    const { uploads, isLast } = await listPage(connection, prefix, after, signal);
    for (const upload of uploads) {
      if (upload.Key.startsWith(prefix) && !connection.uploads.has(upload.UploadId)) yield listed(connection, upload);
    }
    if (isLast) return;
    // By the key alone: some servers take no id of an upload that is gone, or none of another key.
    after = (uploads.at(-1) as Upload).Key;
  }
}

type Upload = MultipartUpload & { readonly Key: string; readonly UploadId: string };

interface Page {
  readonly uploads: readonly Upload[];
  readonly isLast: boolean;
}

async function listPage(
  connection: S3Connection,
  prefix: string,
  after: string,
  signal: AbortSignal | undefined,
): Promise<Page> {
  const { sdk, client, settings } = connection;
  const input = {
    Bucket: settings.bucket,
    Prefix: prefix,
    MaxUploads: PAGE,
    ...(after !== '' && { KeyMarker: after }),
  };
  return await connection.run(
    'list uploads of',
    prefix,
    async (options) =>
      readPage(await client.send(new sdk.ListMultipartUploadsCommand(input), options), settings.bucket, after),
    { signal },
  );
}

/** Reads a page. What is no listing of the bucket, or one that does not go on, is an error. */
function readPage(
  { Bucket, IsTruncated = false, Uploads = [] }: ListMultipartUploadsCommandOutput,
  bucket: string,
  after: string,
): Page {
  // Some servers begin a page with the last key of the one before.
  const uploads = Uploads.filter(
    (upload): upload is Upload => upload.Key !== undefined && upload.Key > after && upload.UploadId !== undefined,
  );
  const last = uploads.at(-1)?.Key ?? '';
  if (Bucket === bucket && (!IsTruncated || last > after)) return { uploads, isLast: !IsTruncated };
  throw new S3ReplyError(
    `expected a page of the uploads of ${bucket} after ${JSON.stringify(after)}, found Bucket ${Bucket} and ${uploads.length} uploads to ${JSON.stringify(last)}`,
    { status: 0 },
  );
}

function listed(connection: S3Connection, { Key, UploadId, Initiated }: Upload): ListedUpload {
  const startedAt = Initiated?.getTime();
  return {
    key: Key,
    startedAt: startedAt === undefined || Number.isNaN(startedAt) ? Infinity : startedAt,
    async remove() {
      try {
        await abortUpload(connection, { ...connection.object(Key), UploadId });
      } catch (error) {
        throw s3Error(error, 'abort an upload of', connection.nameOf(Key));
      }
    },
  };
}
