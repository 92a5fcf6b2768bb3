import type { CompletedPart } from '@aws-sdk/client-s3';
import type { SendOptions } from '@entrepot/core/blobs';
import { abortUpload } from './abort-upload.js';
import { type S3Connection, SLOW } from './connection.js';
import { S3ReplyError } from './failure.js';

const MIB = 1024 * 1024;
/** The largest object that S3 copies in one request, in bytes. */
const AT_ONCE = 5 * 1024 * MIB;
/** The size of the parts of larger ones, in bytes: one is copied well before a connection counts as idle. */
const PART = 512 * MIB;

export interface CopiedObject {
  /** Bytes. */
  readonly size: number;
  /** Larger ones are copied in parts, in bytes. Default: 5 GiB. */
  readonly copiedAtOnce?: number | undefined;
}

/** Copies an object under another key, within the server. */
export async function copyObject(
  connection: S3Connection,
  key: string,
  to: string,
  { size, copiedAtOnce = AT_ONCE }: CopiedObject,
): Promise<void> {
  const { sdk, client, encryption, object, settings } = connection;
  const CopySource = `${settings.bucket}/${key}`;
  if (size > copiedAtOnce) return await copyParts(connection, key, to, { size, part: Math.min(PART, copiedAtOnce) });
  const copy = new sdk.CopyObjectCommand({ ...object(to), ...encryption, CopySource });
  await connection.run('copy', key, async (options) => {
    const { CopyObjectResult } = await client.send(copy, { ...options, ...SLOW });
    requireTag(CopyObjectResult?.ETag);
  });
}

async function copyParts(
  connection: S3Connection,
  key: string,
  to: string,
  { size, part }: { readonly size: number; readonly part: number },
): Promise<void> {
  const { sdk, client, encryption, object, settings, uploads } = connection;
  const run = <T>(work: (options: SendOptions) => Promise<T>): Promise<T> => connection.run('copy', key, work);
  const create = new sdk.CreateMultipartUploadCommand({ ...object(to), ...encryption });
  const { UploadId } = await run((options) => client.send(create, options));
  if (UploadId === undefined) throw new S3ReplyError('expected the id of an upload from S3, found none', { status: 0 });
  const upload = { ...object(to), UploadId };
  uploads.add(UploadId);
  try {
    const Parts: CompletedPart[] = [];
    for (let start = 0; start < size; start += part) {
      const PartNumber = Parts.length + 1;
      const copy = new sdk.UploadPartCopyCommand({
        ...upload,
        PartNumber,
        CopySource: `${settings.bucket}/${key}`,
        CopySourceRange: `bytes=${start}-${Math.min(size, start + part) - 1}`,
      });
      const { CopyPartResult } = await run((options) => client.send(copy, { ...options, ...SLOW }));
      Parts.push({ PartNumber, ETag: requireTag(CopyPartResult?.ETag) });
    }
    const complete = new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
    await run((options) => client.send(complete, { ...options, ...SLOW }));
  } catch (error) {
    // One that cannot be aborted now is left to the collector.
    await abortUpload(connection, upload).catch(() => {});
    throw error;
  } finally {
    uploads.delete(UploadId);
  }
}

function requireTag(tag: string | undefined): string {
  if (tag !== undefined) return tag;
  throw new S3ReplyError('expected a tag of the copy from S3, found none', { status: 0 });
}
