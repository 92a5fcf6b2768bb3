import { type S3Connection, WRITE_ATTEMPTS } from './connection.js';
import { failureOf, mayPass, S3ReplyError, withRetries } from './failure.js';

/** An upload in parts, as requests name it. */
export interface PartedUpload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
}

/**
 * Ends an upload in parts, and removes what has come of it. A server may still be at a part whose request has ended here: an abort
 * beside it fails, or leaves that part. So it is repeated until the server knows the upload no more.
 */
export async function abortUpload(connection: S3Connection, upload: PartedUpload): Promise<void> {
  const { sdk, client } = connection;
  await withRetries(
    async () => {
      try {
        await client.send(new sdk.AbortMultipartUploadCommand(upload));
      } catch (error) {
        // It has ended meanwhile.
        if (failureOf(error).code === 'NoSuchUpload') return;
        throw error;
      }
      if (!(await isKnown(connection, upload))) return;
      const message = `expected the upload ${upload.UploadId} to be gone after its abort, found parts of it`;
      throw new S3ReplyError(message, { status: 503 });
    },
    { attempts: WRITE_ATTEMPTS },
  );
}

async function isKnown({ sdk, client }: S3Connection, upload: PartedUpload): Promise<boolean> {
  try {
    await client.send(new sdk.ListPartsCommand({ ...upload, MaxParts: 1 }));
    return true;
  } catch (error) {
    if (mayPass(error)) throw error;
    // Gone, or the server does not let us look: its abort succeeded.
    return false;
  }
}
