import type { EntrepotError } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { z } from 'zod';
import { badRequest } from './errors.js';
import { INDEX_TYPE, isMediaType } from './media-types.js';

const descriptor = z.looseObject({
  mediaType: z.string().min(1),
  digest: z.string().min(1),
  size: z.number().int().nonnegative(),
});

/** A descriptor (OCI image specification, "Content descriptors"). */
export type Descriptor = Readonly<z.output<typeof descriptor>>;

const descriptors = z
  .array(descriptor)
  .nullish()
  .transform((list) => list ?? []);
const annotations = z.record(z.string(), z.string()).nullish();

/** The parts of a manifest or an index that a registry reads. */
const manifestSchema = z
  .looseObject({
    schemaVersion: z.literal(2),
    mediaType: z.string().optional(),
    artifactType: z.string().optional(),
    config: descriptor.optional(),
    layers: descriptors,
    manifests: descriptors,
    blobs: descriptors,
    subject: descriptor.nullish(),
    annotations,
  })
  .transform(({ mediaType, artifactType, config, layers, manifests, blobs, subject, annotations }) => ({
    mediaType,
    /** Its type, for lists of referrers: its own, else the type of its config. Absent for an index without one. */
    artifactType: artifactType || config?.mediaType,
    /** Config, layers and blobs, which must be stored before it. */
    blobs: [...(config === undefined ? [] : [config]), ...layers, ...blobs],
    /** The manifests of an index. */
    manifests,
    subject: subject ?? undefined,
    annotations: annotations ?? undefined,
  }));

/** A manifest or an index that was read. */
export type Manifest = z.output<typeof manifestSchema>;

/** Docker's first schema, without the suffix that says whether it is signed. */
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1';

/**
 * Reads a manifest or an index. Unknown fields are left alone.
 * @throws EntrepotError `bad-request` (`MANIFEST_INVALID`) with what was expected
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  const json = jsonIn(bytes, true);
  if (json === undefined) throw invalid('expected JSON in UTF-8');
  const { data, error } = manifestSchema.safeParse(json);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw invalid(`${issue?.path.join('.') || 'the manifest'}: ${issue?.message ?? 'not as expected'}`);
}

/** The parts that a manifest names; an unknown form names none. */
export function partsOf(bytes: Uint8Array): Pick<Manifest, 'manifests' | 'blobs'> {
  return manifestSchema.safeParse(jsonIn(bytes, true)).data ?? { manifests: [], blobs: [] };
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
  return data.manifests?.length ? INDEX_TYPE : 'application/vnd.oci.image.manifest.v1+json';
}

/**
 * Checks the manifest of a tag, of which an upstream may not have stated the digest.
 * @throws EntrepotError `upstream-unavailable` for what is no manifest of any form
 */
export function requireManifest(key: string, bytes: Uint8Array): void {
  if (!anyManifest.safeParse(jsonIn(bytes)).success)
    throw malformed(key, 'expected a manifest: a JSON object with a schemaVersion or a mediaType');
}

/** The signatures around a manifest of Docker's first schema (JSON Web Signature, as libtrust formats it). */
const signedManifest = z.looseObject({
  schemaVersion: z.literal(1),
  signatures: z.array(z.looseObject({ protected: z.string().max(4096) })).min(1),
});

const protectedHeader = z.looseObject({
  formatLength: z.number().int().nonnegative(),
  formatTail: z.string().max(1024),
});

/**
 * The bytes that were signed, which are what the digest of such a manifest is of: the body up to `formatLength`, and
 * `formatTail` instead of the rest. `undefined` for all that is not signed in this way.
 */
export function signedPart(bytes: Uint8Array): Buffer | undefined {
  try {
    const { signatures } = signedManifest.parse(JSON.parse(Buffer.from(bytes).toString()));
    const header = Buffer.from(signatures[0]?.protected as string, 'base64url').toString();
    const { formatLength, formatTail } = protectedHeader.parse(JSON.parse(header));
    if (formatLength > bytes.length) return undefined;
    return Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')]);
  } catch {
    return undefined;
  }
}

/** `undefined`: it is no JSON in UTF-8. */
function jsonIn(bytes: Uint8Array, ignoreBOM = false): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM }).decode(bytes));
  } catch {
    return undefined;
  }
}

export function invalid(problem: string): EntrepotError {
  return badRequest('MANIFEST_INVALID', `The manifest is not valid: ${problem}`);
}
