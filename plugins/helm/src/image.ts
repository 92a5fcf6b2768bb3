import { createHash } from 'node:crypto';
import type { Digest, Entry, ReceivedEntry } from '@entrepot/core';
import { KEY } from './keys.js';
import { IMAGE_TYPES } from './media-types.js';

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Bytes by their digest. */
export interface Blob {
  readonly digest: Digest;
  readonly size: number;
}

/** Bytes, or the entry that has them; neither: the body of the upload. */
export interface Part extends Blob, Pick<ReceivedEntry, 'bytes' | 'sameAs'> {}

/** The parts of the image of a chart. */
export interface ImageParts {
  readonly chart: Part;
  /** A part, or the digest of one that is stored. */
  readonly config: Part | Blob;
  readonly provenance: Part | undefined;
}

/** A chart as registries have it. */
export interface Image {
  readonly entries: readonly ReceivedEntry[];
  /** The keys of all its entries, also of those that are stored already. */
  readonly keys: readonly string[];
}

/** Makes the image of a chart as `helm push` does, but without the time: the same parts are the same bytes. */
export function imageOf(
  { tenant, name, version }: { readonly tenant: string; readonly name: string; readonly version: string },
  { chart, config, provenance }: ImageParts,
): Image {
  const layers = [
    descriptor(IMAGE_TYPES.chart, chart),
    ...(provenance ? [descriptor(IMAGE_TYPES.provenance, provenance)] : []),
  ];
  const manifest = partOf(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: IMAGE_TYPES.manifest,
        config: descriptor(IMAGE_TYPES.config, config),
        layers,
        annotations: { 'org.opencontainers.image.title': name, 'org.opencontainers.image.version': version },
      }),
    ),
  );
  const coordinates = { ecosystem: 'helm', name, version };
  const entryOf = (key: string, mediaType: string, { bytes, sameAs }: Partial<Part>): ReceivedEntry => ({
    key,
    mediaType,
    bytes,
    sameAs,
    coordinates,
  });
  const blob = ({ digest }: Blob): string => KEY.blob(tenant, name, digest);
  const tag = version.replaceAll('+', '_');
  const entries = [
    entryOf(blob(chart), IMAGE_TYPES.chart, chart),
    entryOf(KEY.manifest(tenant, name, manifest.digest), IMAGE_TYPES.manifest, manifest),
  ];
  if (TAG.test(tag)) entries.push(entryOf(KEY.tag(tenant, name, tag), IMAGE_TYPES.manifest, manifest));
  if (provenance !== undefined) entries.push(entryOf(blob(provenance), IMAGE_TYPES.provenance, provenance));
  if ('bytes' in config) entries.push(entryOf(blob(config), IMAGE_TYPES.config, config));
  return { entries, keys: [...new Set([...entries.map(({ key }) => key), blob(config)])] };
}

/** Makes a part of bytes. */
export function partOf(bytes: Buffer): Part {
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.length, bytes };
}

/** Makes a part of an entry's bytes. */
export function partAt(entry: Entry): Part {
  return { digest: entry.digest, size: entry.size, sameAs: entry };
}

function descriptor(mediaType: string, { digest, size }: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size };
}
