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
import { isWheel } from './file-name.js';
import { DERIVED_PREFIX, FILE_PREFIX, METADATA_SUFFIX } from './keys.js';
import { CLASS } from './routes.js';
import { metadataAside } from './wheel-thread.js';

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
  await writeFile(path, await metadataAside(wheel, signal), { signal });
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
