import type { SendOptions } from '@entrepot/core/blobs';
import type { S3Connection } from './connection.js';
import { failureOf, S3ReplyError } from './failure.js';

/** The head of an object. */
export interface ObjectHead {
  /** Bytes. */
  readonly size: number;
  readonly etag: string;
}

/** The head of an object. `undefined`: the server says that there is none, which it may also say where the bucket is missing. */
export async function headObject(
  { sdk, client, object }: S3Connection,
  key: string,
  options: SendOptions,
): Promise<ObjectHead | undefined> {
  try {
    const { ETag, ContentLength } = await client.send(new sdk.HeadObjectCommand(object(key)), options);
    // Whatever answers in the place of S3, such as the page of a captive portal, has no tag.
    if (ETag !== undefined && ContentLength !== undefined) return { size: ContentLength, etag: ETag };
  } catch (error) {
    if (failureOf(error).status === 404) return undefined;
    throw error;
  }
  throw new S3ReplyError('expected the size and the tag of an object from S3, found a reply without', { status: 0 });
}
