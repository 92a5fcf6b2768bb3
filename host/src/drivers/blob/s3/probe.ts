import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { EntrepotError, type Logger } from '@entrepot/core';
import type { SendOptions } from '@entrepot/core/blobs';
import { explainFailure } from './advice.js';
import type { S3Connection } from './connection.js';
import { S3ReplyError } from './failure.js';
import type { ObjectGetter } from './get-object.js';
import { listPage } from './list-objects.js';

/** The longest that a probe takes, in milliseconds. */
const DEADLINE = 10_000;
/** A difference of clocks that is worth a warning, in milliseconds. Servers refuse requests from 15 minutes on. */
const SKEW = 5 * 60_000;
const SIZE = 64;

/** Subject of a probe. */
export interface Probed {
  readonly connection: S3Connection;
  readonly getter: ObjectGetter;
  /** The prefix of all keys, with its slash at the end. */
  readonly prefix: string;
}

/**
 * Tries everything that the store does: writes, encryption, reads, ranges, absence, lists, deletion. Leaves nothing behind.
 * @throws EntrepotError `configuration` that says what is wrong, and what to set
 */
export async function probeBucket(probed: Probed, logger: Logger): Promise<void> {
  const { settings } = probed.connection;
  const signal = AbortSignal.timeout(DEADLINE);
  try {
    await tryAll(probed, logger, signal);
  } catch (error) {
    // The failure lies below the message of the driver.
    const cause = error instanceof EntrepotError ? ((error as EntrepotError).cause ?? error) : error;
    throw new EntrepotError('configuration', explainFailure(cause, settings, Date.now()), { cause });
  }
}

async function tryAll({ connection, getter, prefix }: Probed, logger: Logger, signal: AbortSignal): Promise<void> {
  const { sdk, client } = connection;
  const key = `${prefix}probe/${randomUUID()}`;
  const bytes = randomBytes(SIZE);
  await connection.run('write', key, (options) => putProbe(connection, key, bytes, options, logger), { signal });
  try {
    const whole = await getter.open(key, { size: SIZE, signal });
    const part = await getter.open(key, { size: SIZE, range: { start: 8, end: 15 }, signal });
    const found = [whole && (await buffer(whole)), part && (await buffer(part))];
    if (found[0]?.equals(bytes) !== true || found[1]?.equals(bytes.subarray(8, 16)) !== true)
      throw unlike('what was written, whole and in part', 'something else');
    // Without the right to list, what is absent is "forbidden", and nothing could be told to be missing.
    const absent = await getter.get(`${key}.absent`, { signal });
    absent?.body.destroy();
    if (absent !== undefined) throw unlike('no object under a name that nobody has used', 'one');
    const { objects } = await listPage(connection, key, {});
    if (objects.length !== 1 || objects[0]?.size !== SIZE) throw unlike('the object of the probe in a listing', 'none');
  } finally {
    await connection.run('delete', key, (options) =>
      client.send(new sdk.DeleteObjectCommand(connection.object(key)), options),
    );
  }
}

/** Writes the object of the probe, and looks at how the server answers that. */
async function putProbe(
  connection: S3Connection,
  key: string,
  body: Buffer,
  options: SendOptions,
  logger: Logger,
): Promise<void> {
  const { sdk, client, encryption, settings } = connection;
  const command = new sdk.PutObjectCommand({ ...connection.object(key), ...encryption, Body: body });
  let date = NaN;
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers = {} } = result.response as { readonly headers?: Record<string, string> };
      date = Date.parse(headers['date'] ?? '');
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'date' },
  );
  const { ETag, ServerSideEncryption: found } = await client.send(command, options);
  if (ETag === undefined) {
    const message = `expected a server of S3, found something else; set storage.endpoint (${settings.endpoint ?? 'left out'} now)`;
    throw new S3ReplyError(message, { status: 0, code: 'NotS3' });
  }
  const { ServerSideEncryption: wanted } = encryption;
  if (wanted !== undefined && found !== wanted) {
    throw unlike(`encryption by ${wanted}, as storage.encryption says`, found ?? 'a server that does not encrypt');
  }
  const skew = Date.now() - date;
  if (Math.abs(skew) > SKEW)
    logger.warn({ seconds: Math.round(skew / 1000) }, 'the clock of this machine differs from that of the store');
}

function unlike(expected: string, found: string): S3ReplyError {
  return new S3ReplyError(`expected ${expected}, found ${found}`, { status: 0 });
}
