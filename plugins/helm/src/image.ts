import { createHash } from 'node:crypto';
import type { Digest, Entry, ReceivedEntry } from '@entrepot/core';
import { KEY } from './keys.js';
import { IMAGE_TYPES } from './media-types.js';

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Bytes, or the entry that has them; neither: the body of the upload. */
export interface Part extends Pick<ReceivedEntry, 'bytes' | 'sameAs'> {
  readonly digest: Digest;
  readonly size: number;
}

/** A chart as registries have it. */
interface Image {
  readonly entries: readonly ReceivedEntry[];
  /** The keys of all its entries, also of those that are stored already. */
  readonly keys: readonly string[];
}

/**
 * Makes the image of a chart as `helm push` does, but without the time: the same parts are the same bytes.
 * @param config without bytes: it is stored already
 */
export function imageOf(
  { tenant, name, version }: { readonly tenant: string; readonly name: string; readonly version: string },
  chart: Part,
  config: Part,
  provenance: Part | undefined,
): Image {
  const layers = [{ mediaType: IMAGE_TYPES.chart, part: chart }];
  if (provenance !== undefined) layers.push({ mediaType: IMAGE_TYPES.provenance, part: provenance });
  const content = JSON.stringify({
    schemaVersion: 2,
    mediaType: IMAGE_TYPES.manifest,
    config: descriptor(IMAGE_TYPES.config, config),
    layers: layers.map(({ mediaType, part }) => descriptor(mediaType, part)),
    annotations: { 'org.opencontainers.image.title': name, 'org.opencontainers.image.version': version },
  });
  const manifest = partOf(Buffer.from(content));
  const entryOf = (key: string, mediaType: string, { bytes, sameAs }: Part): ReceivedEntry => {
    return { key, mediaType, bytes, sameAs, coordinates: { ecosystem: 'helm', name, version } };
  };
  const blob = ({ digest }: Part): string => KEY.blob(tenant, name, digest);
  const entries = layers.map(({ mediaType, part }) => entryOf(blob(part), mediaType, part));
  if (config.bytes !== undefined) entries.push(entryOf(blob(config), IMAGE_TYPES.config, config));
  entries.push(entryOf(KEY.manifest(tenant, name, manifest.digest), IMAGE_TYPES.manifest, manifest));
  const tag = version.replaceAll('+', '_');
  if (TAG.test(tag)) entries.push(entryOf(KEY.tag(tenant, name, tag), IMAGE_TYPES.manifest, manifest));
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

function descriptor(mediaType: string, { digest, size }: Part): object {
  return { mediaType, digest, size };
}
