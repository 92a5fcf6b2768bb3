import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { S3Connection } from './connection.js';
import { S3ReplyError } from './failure.js';

/** An object of a listing. */
export interface ListedObject {
  readonly key: string;
  readonly size: number;
}

/** Every object whose key begins with `prefix`, in the order of keys. */
export async function* listObjects(connection: S3Connection, prefix: string): AsyncGenerator<ListedObject> {
  for (let after = ''; ;) {
    const { objects, isLast } = await listPage(connection, prefix, { after });
    yield* objects;
    if (isLast) return;
    // By the last key and not by a token: some servers forget to give one.
    after = (objects.at(-1) as ListedObject).key;
  }
}

/** One page of a listing. */
export async function listPage(
  connection: S3Connection,
  prefix: string,
  { after, limit = 1000 }: { readonly after?: string; readonly limit?: number },
): Promise<{ readonly objects: readonly ListedObject[]; readonly isLast: boolean }> {
  const { sdk, client, settings } = connection;
  const input = {
    Bucket: settings.bucket,
    Prefix: prefix,
    MaxKeys: limit,
    ...(after !== undefined && after !== '' && { StartAfter: after }),
  };
  return await connection.run('list', prefix, async (options) =>
    readPage(await client.send(new sdk.ListObjectsV2Command(input), options), settings.bucket, after),
  );
}

/** Reads a page. What is no listing of the bucket, such as the page of a captive portal, looks like an empty one. */
function readPage({ Name, IsTruncated, Contents = [] }: ListObjectsV2CommandOutput, bucket: string, after = '') {
  const objects: ListedObject[] = [];
  for (const { Key: key, Size: size } of Contents)
    if (key !== undefined && size !== undefined) objects.push({ key, size });
  const isAhead = objects.every(({ key }) => key > after);
  if (Name !== bucket || IsTruncated === undefined || !isAhead || (IsTruncated && objects.length === 0)) {
    throw new S3ReplyError(
      `expected a page of the listing of ${bucket} after ${JSON.stringify(after)}, found Name ${Name}, IsTruncated ${IsTruncated} and ${objects.length} objects`,
      { status: 0 },
    );
  }
  return { objects, isLast: !IsTruncated };
}
