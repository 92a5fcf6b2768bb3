import type { Digest } from '@entrepot/core';
import { hasDigest } from '@entrepot/core/blobs';
import type { S3Connection } from './connection.js';
import { copyObject } from './copy-object.js';
import { failureOf } from './failure.js';
import type { ObjectGetter } from './get-object.js';
import type { ObjectHead } from './head-object.js';

/** A blob that was found damaged. */
export interface DamagedObject {
  readonly digest: Digest;
  readonly key: string;
  /** The key that it gets. */
  readonly aside: string;
  /** The object that was found under its key. */
  readonly head: ObjectHead;
}

/**
 * Copies a damaged blob to another key, and deletes it.
 * @param copiedAtOnce as `copyObject` takes it
 * @returns `false` where its bytes are right: somebody has put them since, and they stay
 */
export async function setObjectAside(
  connection: S3Connection,
  getter: ObjectGetter,
  { digest, key, aside, head }: DamagedObject,
  copiedAtOnce?: number,
): Promise<boolean> {
  const { sdk, client, object } = connection;
  await copyObject(connection, key, aside, { size: head.size, copiedAtOnce });
  // Only what nobody writes to can be looked at for good.
  const found = await getter.open(aside, {});
  if (found !== undefined && (await hasDigest(found, digest))) {
    await connection.run('delete', aside, (options) =>
      client.send(new sdk.DeleteObjectCommand(object(aside)), options),
    );
    return false;
  }
  return await deleteIfSame(connection, key, head);
}

/** Deletes an object that is still the same. Servers that cannot hold a deletion against a tag delete whatever is there. */
async function deleteIfSame(connection: S3Connection, key: string, { etag }: ObjectHead): Promise<boolean> {
  const { sdk, client, object } = connection;
  return await connection.run('delete', key, async (options) => {
    try {
      await client.send(new sdk.DeleteObjectCommand({ ...object(key), IfMatch: etag }), options);
      return true;
    } catch (error) {
      const { status } = failureOf(error);
      if (status === 412) return false;
      if (status !== 501) throw error;
    }
    await client.send(new sdk.DeleteObjectCommand(object(key)), options);
    return true;
  });
}
