import { constants, createWriteStream } from 'node:fs';
import { copyFile, link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Content } from '../api/content.js';
import { type Digest, isDigest } from '../api/digest.js';
import { type EntrepotError, scanError } from '../api/errors.js';
import type { ScanSubject } from '../api/scanner.js';
import { untilAborted } from '../formats/until-aborted.js';

/** The most that a manifest may have, in bytes: what registries are asked to accept (distribution specification). */
const LARGEST_MANIFEST = 4 * 1024 * 1024;
const MANIFEST = /^application\/vnd\.(oci\.image\.manifest\.v1|docker\.distribution\.manifest\.v2)\+json$/;
const INDEX = /^application\/vnd\.(oci\.image\.index\.v1|docker\.distribution\.manifest\.list\.v2)\+json$/;
const CONFIGURATION = /^application\/vnd\.(oci\.image\.config\.v1|docker\.container\.image\.v1)\+json$/;

/** A descriptor (image specification, "OCI Content Descriptors"). */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platform?: { readonly os?: string; readonly architecture?: string; readonly variant?: string } | undefined;
}

export interface ImageLayoutOptions {
  readonly signal: AbortSignal;
  /** Which image of an index is taken: `linux/amd64`. Where there is none of it, the first. */
  readonly platform: string;
  /** The most that an image may have, in bytes. */
  readonly largest: number;
}

/**
 * Writes the image `subject` to `folder` as an OCI image layout (image specification, "OCI Image Layout"), with links to the
 * files that there are. Of an index, one image.
 * @returns whether that is all of it
 * @throws EntrepotError `scan-unavailable`, with the code `SCAN_UNSUPPORTED` for what is no image; the reason of `signal`
 */
export async function writeImageLayout(
  folder: string,
  subject: ScanSubject,
  { signal, platform, largest }: ImageLayoutOptions,
): Promise<boolean> {
  const { content, digest } = subject;
  if (content === undefined || digest === undefined) throw unsupported('an image needs its manifest and its digest');
  const blobs = join(folder, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  let bytes = await readManifest(content, signal);
  let place: Descriptor = { mediaType: content.mediaType, digest, size: bytes.length };
  let manifest = parse(bytes);
  const whole = !INDEX.test(mediaTypeOf(manifest, content));
  if (!whole) {
    place = chooseImage(manifest, platform);
    const child = await partOf(subject, place, signal);
    bytes = await readManifest(child, signal);
    manifest = parse(bytes);
  }
  const mediaType = whole ? mediaTypeOf(manifest, content) : place.mediaType;
  if (!MANIFEST.test(mediaType)) throw unsupported(`expected a manifest of an image, found ${mediaType}`);
  await writeFile(join(blobs, hexOf(place.digest)), bytes);
  const config = descriptorOf(manifest.config);
  if (!CONFIGURATION.test(config.mediaType)) {
    throw unsupported(`expected the configuration of an image, found ${config.mediaType}`);
  }
  const layers = listOf(manifest.layers).map(descriptorOf);
  const parts = new Map([config, ...layers].map((part) => [part.digest, part]));
  let total = 0;
  for (const { size } of parts.values()) total += size;
  if (total > largest) throw unsupported(`expected an image of at most ${largest} bytes, found ${total}`);
  for (const part of parts.values()) {
    await writePart(join(blobs, hexOf(part.digest)), await partOf(subject, part, signal), part, signal);
  }
  const descriptor = { mediaType, digest: place.digest, size: bytes.length };
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  return whole;
}

type Manifest = Readonly<Partial<Record<'mediaType' | 'config' | 'layers' | 'manifests', unknown>>>;

async function readManifest(content: Content, signal: AbortSignal): Promise<Uint8Array> {
  return untilAborted(content.bytes(LARGEST_MANIFEST), signal);
}

function parse(bytes: Uint8Array): Manifest {
  try {
    return (JSON.parse(Buffer.from(bytes).toString()) ?? {}) as Manifest;
  } catch (cause) {
    throw unsupported('expected a manifest, found no JSON', cause);
  }
}

/** Prefers the media type in the document: some upstreams serve manifests as plain JSON. */
function mediaTypeOf({ mediaType }: Manifest, content: Content): string {
  return typeof mediaType === 'string' ? mediaType : content.mediaType;
}

function chooseImage({ manifests }: Manifest, wanted: string): Descriptor {
  const images = listOf(manifests)
    .map(descriptorOf)
    // Attestations stand in an index as images of no platform.
    .filter(({ mediaType, platform }) => MANIFEST.test(mediaType) && platform?.os !== 'unknown');
  const found = images.find(({ platform }) => `${platform?.os}/${platform?.architecture}` === wanted) ?? images[0];
  if (found === undefined) throw unsupported('expected an image in the index, found none');
  return found;
}

async function partOf({ part }: ScanSubject, place: Descriptor, signal: AbortSignal): Promise<Content> {
  const { digest, mediaType } = place;
  const found = await (part === undefined ? undefined : untilAborted(part(digest, mediaType), signal));
  if (found !== undefined) return found;
  throw scanError('SCAN_FAILED', `${digest}: a part of the image is not to be had`);
}

async function writePart(path: string, content: Content, { size }: Descriptor, signal: AbortSignal): Promise<void> {
  if (content.path !== undefined) {
    // Tools take no symbolic links in a layout. Where the place is on another file system, there is no other.
    return link(content.path, path).catch(() => copyFile(content.path as string, path, constants.COPYFILE_FICLONE));
  }
  let left = size;
  const bound = new Transform({
    transform(piece: Uint8Array, _, done) {
      left -= piece.length;
      if (left < 0) done(new Error(`expected ${size} bytes, found more`));
      else done(null, piece);
    },
  });
  await pipeline(content.stream(), bound, createWriteStream(path), { signal });
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function descriptorOf(value: unknown): Descriptor {
  const { mediaType, digest, size, platform } = (value ?? {}) as Record<keyof Descriptor, unknown>;
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !isDigest(digest) || !isSize) {
    throw unsupported('expected descriptors with a media type, a size and a SHA-256 digest');
  }
  return { mediaType, digest, size, platform: (platform ?? undefined) as Descriptor['platform'] };
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

function unsupported(message: string, cause?: unknown): EntrepotError {
  return scanError('SCAN_UNSUPPORTED', message, cause);
}
