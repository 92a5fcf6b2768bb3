import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  asEntrepotError,
  EntrepotError,
  type ArtifactResource,
  type Content,
  type DocumentResource,
  type ProduceContext,
  type ProducedFile,
} from '@entrepot/core';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { isWheel } from './file-name.js';
import { DERIVED_PREFIX, FILE_PREFIX, METADATA_SUFFIX } from './keys.js';
import { CLASS } from './routes.js';

/** The largest metadata that is taken out of a wheel, in bytes: descriptions are part of it. */
const METADATA_LIMIT = 8 * 1024 * 1024;
/** The most files of a wheel that are looked at. */
const FILE_LIMIT = 200_000;
const MEDIA_TYPE = 'text/plain; charset=utf-8';

/**
 * The metadata of a file: the upstream's sidecar, verified as always; where it has none, or does not give it away, what
 * stands in the wheel, byte for byte.
 * @throws EntrepotError `not-found` for a wheel without metadata
 */
export async function deriveMetadata(
  resource: ArtifactResource | DocumentResource,
  { folder, read, signal }: ProduceContext,
): Promise<readonly ProducedFile[]> {
  if (resource.kind !== 'artifact') throw new EntrepotError('plugin', `${resource.key} is not made by this plugin`);
  const path = join(folder, 'METADATA');
  const file = { key: resource.key, path, mediaType: MEDIA_TYPE };
  try {
    await writeTo(path, await read(sidecarOf(resource)), signal);
    return [file];
  } catch (error) {
    const failure = asEntrepotError(error, 'plugin', `The sidecar of ${resource.key} could not be read`);
    const isAbsent = failure.kind === 'not-found' || failure.kind === 'forbidden';
    if (!isAbsent || !isWheel(wheelOf(resource).filename)) throw failure;
  }
  const wheel = join(folder, 'wheel');
  const source = await writeTo(wheel, await read(wheelOf(resource)), signal);
  await writeFile(path, await metadataOf(wheel), { signal });
  return [{ ...file, attributes: { source } }];
}

function sidecarOf(resource: ArtifactResource): ArtifactResource {
  return { ...resource, key: `${fileKeyOf(resource)}${METADATA_SUFFIX}`, produced: false };
}

function wheelOf(resource: ArtifactResource): ArtifactResource {
  return {
    ...resource,
    key: fileKeyOf(resource),
    class: CLASS.file,
    filename: resource.filename.slice(0, -METADATA_SUFFIX.length),
    upstreamPath: resource.upstreamPath.slice(0, -METADATA_SUFFIX.length),
    mediaType: undefined,
    produced: false,
  };
}

function fileKeyOf({ key }: ArtifactResource): string {
  return FILE_PREFIX + key.slice(DERIVED_PREFIX.length);
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
 * The one `<name>.dist-info/METADATA` of a wheel (PEP 427).
 * @throws EntrepotError `not-found` for a file that is no wheel, or has none or several
 */
export async function metadataOf(wheel: string): Promise<Uint8Array> {
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(wheel, { lazyEntries: true, autoClose: false });
    const stream = await zip.openReadStreamPromise(await findMetadata(zip));
    const pieces: Uint8Array[] = [];
    // It ends with an error where it has another size than the directory says, so this is as bounded as that.
    for await (const piece of stream as AsyncIterable<Uint8Array>) pieces.push(piece);
    return Buffer.concat(pieces);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be read';
    throw new EntrepotError('not-found', `The wheel gives no metadata: ${reason}`, { cause: error });
  } finally {
    zip?.close();
  }
}

async function findMetadata(zip: ZipFile): Promise<Entry> {
  if (zip.entryCount > FILE_LIMIT) throw new Error(`it has more than ${FILE_LIMIT} files`);
  let found: Entry | undefined;
  for await (const entry of zip.eachEntry()) {
    if (!/^[^/]+\.dist-info\/METADATA$/.test(entry.fileName)) continue;
    if (found !== undefined) throw new Error('it has more than one METADATA');
    found = entry;
  }
  if (found === undefined) throw new Error('it has no METADATA');
  if (found.uncompressedSize > METADATA_LIMIT) throw new Error(`its METADATA has more than ${METADATA_LIMIT} bytes`);
  return found;
}
