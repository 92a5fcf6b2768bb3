import { createHash } from 'node:crypto';

export const INDEX = 'application/vnd.oci.image.index.v1+json';
export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const CONFIG = 'application/vnd.oci.image.config.v1+json';
export const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export function digestOf(bytes: string, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

export interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export function describeBytes(mediaType: string, bytes: string): Described {
  return { mediaType, digest: digestOf(bytes), size: Buffer.byteLength(bytes) };
}

/** A manifest of one layer; what `more` says stands in it too. */
export function manifestOf(config: string, layer: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: describeBytes(CONFIG, config),
    layers: [describeBytes(LAYER, layer)],
    ...more,
  });
}

export function indexOf(...manifests: readonly Described[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
}
