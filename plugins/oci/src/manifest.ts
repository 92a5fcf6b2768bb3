import { EntrepotError } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { z } from 'zod';
import { isMediaType } from './media-types.js';

const descriptor = z.looseObject({
  mediaType: z.string().min(1),
  digest: z.string().min(1),
  size: z.number().int().nonnegative(),
});

/** Docker's first schema, without the suffix that says whether it is signed. */
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1';

const annotations = z.record(z.string(), z.string()).nullish();

const manifestSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptor.optional(),
  layers: z.array(descriptor).nullish(),
  manifests: z.array(descriptor).nullish(),
  blobs: z.array(descriptor).nullish(),
  subject: descriptor.nullish(),
  annotations,
});

/** A descriptor (OCI image specification, "Content descriptors"). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** The parts of a manifest or an index that a registry reads. */
export interface Manifest {
  readonly mediaType: string | undefined;
  /**
   * Its type, for lists of referrers: its own `artifactType`, else the type of its config. Absent for an index without
   * one.
   */
  readonly artifactType: string | undefined;
  /** Config, layers and blobs, which must be stored before it. */
  readonly blobs: readonly Descriptor[];
  /** The manifests of an index. */
  readonly manifests: readonly Descriptor[];
  readonly subject: Descriptor | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/**
 * Reads a manifest or an index. Unknown fields are left alone.
 * @throws EntrepotError `bad-request` (`MANIFEST_INVALID`) with what was expected
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw invalid('expected JSON in UTF-8');
  }
  const result = manifestSchema.safeParse(json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw invalid(`${issue?.path.join('.') || 'the manifest'}: ${issue?.message ?? 'not as expected'}`);
  }
  const { mediaType, artifactType, config, layers, manifests, blobs, subject, annotations } = result.data;
  return {
    mediaType,
    artifactType: artifactType !== undefined && artifactType !== '' ? artifactType : config?.mediaType,
    blobs: [...(config === undefined ? [] : [config]), ...(layers ?? []), ...(blobs ?? [])],
    manifests: manifests ?? [],
    subject: subject ?? undefined,
    annotations: annotations ?? undefined,
  };
}

/** The parts that a manifest names; an unknown form names none. */
export function partsOf(bytes: Uint8Array): Pick<Manifest, 'manifests' | 'blobs'> {
  try {
    return parseManifest(bytes);
  } catch {
    return { manifests: [], blobs: [] };
  }
}

/** Fields that every form of manifest has, future ones included. */
const anyManifest = z
  .looseObject({
    schemaVersion: z.number().optional(),
    mediaType: z.string().optional(),
    manifests: z.array(z.unknown()).nullish(),
    signatures: z.array(z.unknown()).nullish(),
  })
  .refine(({ schemaVersion, mediaType }) => schemaVersion !== undefined || mediaType !== undefined);

/** The `mediaType` that a manifest says of itself; `undefined` when it is no manifest, or says nothing. */
export function mediaTypeIn(bytes: Uint8Array): string | undefined {
  const { data } = anyManifest.safeParse(jsonIn(bytes));
  if (data === undefined) return undefined;
  if (data.mediaType !== undefined) return isMediaType(data.mediaType) ? data.mediaType : undefined;
  if (data.schemaVersion === 1) return SCHEMA_1 + (data.signatures == null ? '+json' : '+prettyjws');
  // An OCI index or manifest need not say it; docker's forms always do.
  return (data.manifests?.length ?? 0) > 0
    ? 'application/vnd.oci.image.index.v1+json'
    : 'application/vnd.oci.image.manifest.v1+json';
}

/**
 * Checks the manifest of a tag, of which an upstream may not have stated the digest.
 * @throws EntrepotError `upstream-unavailable` for what is no manifest of any form
 */
export function requireManifest(key: string, bytes: Uint8Array): void {
  if (!anyManifest.safeParse(jsonIn(bytes)).success)
    throw malformed(key, 'expected a manifest: a JSON object with a schemaVersion or a mediaType');
}

function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

export function invalid(problem: string): EntrepotError {
  return new EntrepotError('bad-request', `The manifest is not valid: ${problem}`, { code: 'MANIFEST_INVALID' });
}
