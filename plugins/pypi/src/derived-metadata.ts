import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { asEntrepotError, EntrepotError } from '@entrepot/core';
import type { Content, ProducedFile, ProduceContext, Resource } from '@entrepot/core';
import { builtProgram, WorkerPool, ZipError } from '@entrepot/core/formats';
import { isWheel } from './names.js';
import { METADATA_SUFFIX, readKey } from './keys.js';
import { metadataOf } from './wheel-metadata.js';

/** Idle time after which the thread is ended; milliseconds. */
const KEEP_IDLE = 10_000;

/** The directory of a wheel may be tens of megabytes: others are answered while it is read. */
const threads = new WorkerPool<string, Uint8Array>(
  builtProgram(import.meta.url, 'wheel-worker', () => metadataOf),
  { most: 1, keepIdle: KEEP_IDLE },
);

/**
 * Makes the metadata of a file: the upstream's sidecar, verified as always; where it has none, or does not give it away, what
 * stands in the wheel, byte for byte.
 * @throws EntrepotError `not-found` for a wheel without metadata
 */
export async function deriveMetadata(
  resource: Resource,
  { folder, read, signal }: ProduceContext,
): Promise<readonly ProducedFile[]> {
  const fileKey = readKey(resource.key).file;
  const path = join(folder, 'METADATA');
  const made = { key: resource.key, path, mediaType: 'text/plain; charset=utf-8' };
  try {
    await writeTo(path, await read({ ...resource, key: fileKey + METADATA_SUFFIX }), signal);
    return [made];
  } catch (error) {
    const failure = asEntrepotError(error, 'plugin', `The sidecar of ${resource.key} could not be read`);
    const isAbsent = failure.kind === 'not-found' || failure.kind === 'forbidden';
    if (!isAbsent || !isWheel(fileKey)) throw failure;
  }
  const filePath = (resource.path ?? '').slice(0, -METADATA_SUFFIX.length);
  const wheel = join(folder, 'wheel');
  const source = await writeTo(wheel, await read({ ...resource, class: 'file', key: fileKey, path: filePath }), signal);
  await writeFile(path, await metadataAside(wheel, signal), { signal });
  return [{ ...made, attributes: { source } }];
}

/** @returns the digest of what was written */
async function writeTo(path: string, content: Content, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(
    content.stream(),
    async function* summed(pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    },
    createWriteStream(path),
    { signal },
  );
  return `sha256:${hash.digest('hex')}`;
}

/**
 * The metadata of the wheel at `path`, byte for byte.
 * @throws EntrepotError `not-found` for a file that is no wheel, or has none or several
 */
async function metadataAside(path: string, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await threads.run(path, signal);
  } catch (error) {
    if (!(error instanceof ZipError)) throw error;
    throw new EntrepotError('not-found', `The wheel gives no metadata: ${error.message}`);
  }
}
