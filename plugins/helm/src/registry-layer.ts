import { createHash } from 'node:crypto';
import {
  EntrepotError,
  integrityMismatch,
  parseHex,
  printableUrl,
  printIntegrity,
  type ArtifactDescription,
  type Integrity,
  type LocateContext,
  type LocatedBytes,
  type Location,
  type Resource,
} from '@entrepot/core';
import { z } from 'zod';

/** `oci://host/name`, then a tag, a digest, or both. */
const LOCATION = /^oci:\/\/([^/?#@\s]+)\/([a-z0-9][a-z0-9._/-]*)(?::([\w.+-]{1,128}))?(?:@(sha256:[0-9a-f]{64}))?$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;
const MANIFESTS = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';
/** The largest manifest that is read; bytes (distribution-spec, "Pushing manifests": at least 4 MiB). */
const MAX_MANIFEST = 4 * 1024 * 1024;

/** A place in a registry, as a document names it. */
interface OciReference {
  /** The base URL of the registry. */
  readonly registry: string;
  readonly name: string;
  /** A tag or a digest. */
  readonly reference: string;
  /** The digest of the manifest. */
  readonly promised: Integrity | undefined;
}

/**
 * Finds a chart that an index says is in a registry: the layer of the named image whose media type is one of `types`, or the only
 * one.
 * @throws EntrepotError `upstream-unavailable` when the image is none that can be used, `integrity` when the index promises other
 * bytes than the image has
 */
export async function locateLayer(
  { key }: Resource,
  { description, namedBy, ask }: LocateContext,
  types: readonly string[],
): Promise<Location | undefined> {
  if (description?.location?.toLowerCase().startsWith('oci://') !== true) return undefined;
  const { registry, name, reference, promised } = parseLocation(description, namedBy);
  const tokenScope = `repository:${name}:pull`;
  const place = `${registry}/v2/${name}/manifests/${reference}`;
  const manifest = await ask({ url: place, tokenScope, accept: MANIFESTS, maxBytes: MAX_MANIFEST });
  const layer = chooseLayer(parseLayers(manifest, promised), types, manifest.url);
  const integrity = layerIntegrity(layer, manifest.url);
  const said = description.integrity.filter(({ algorithm }) => algorithm === integrity.algorithm);
  if (said.length > 0 && !said.some(({ hex }) => hex === integrity.hex)) throw integrityMismatch(key, said, integrity);
  return {
    url: `${registry}/v2/${name}/blobs/${printIntegrity(integrity)}`,
    tokenScope,
    integrity: [integrity],
    size: layer.size,
  };
}

function parseLocation({ location, coordinates }: ArtifactDescription, namedBy: string | undefined): OciReference {
  const [, host, name, tag = coordinates?.version, digest] = LOCATION.exec(location ?? '') ?? [];
  const reference = digest ?? tag;
  if (host === undefined || name === undefined || reference === undefined)
    throw malformed('The upstream names a location that is not oci://host/name:tag or oci://host/name@sha256:…');
  const named = host.toLowerCase() === 'docker.io' ? 'registry-1.docker.io' : host;
  return {
    registry: `${schemeOf(host, namedBy)}://${named}`,
    name,
    // A tag has no `+`, as versions have: Helm writes it so.
    reference: digest ?? encodeURIComponent(reference.replaceAll('+', '_')),
    promised: digest === undefined ? undefined : parseHex('sha256', digest.slice('sha256:'.length)),
  };
}

/** Registries are asked by https; but for one that a document which came by http itself says is on its own or on this host. */
function schemeOf(host: string, namedBy: string | undefined): 'http' | 'https' {
  const namer = namedBy === undefined ? undefined : new URL(namedBy);
  return namer?.protocol === 'http:' && (namer.host === host || LOOPBACK.test(host)) ? 'http' : 'https';
}

const manifestSchema = z.object({
  layers: z.array(
    z.object({
      mediaType: z.unknown().optional(),
      digest: z.unknown().optional(),
      size: z.number().int().optional().catch(undefined),
    }),
  ),
});

type Layer = z.output<typeof manifestSchema>['layers'][number];

function parseLayers({ url, bytes }: LocatedBytes, promised: Integrity | undefined): readonly Layer[] {
  const hex = createHash('sha256').update(bytes).digest('hex');
  if (promised !== undefined && promised.hex !== hex)
    throw integrityMismatch(printableUrl(url), [promised], { algorithm: 'sha256', hex });
  try {
    return manifestSchema.parse(JSON.parse(Buffer.from(bytes).toString())).layers;
  } catch {
    throw malformed(`${printableUrl(url)} sent no manifest with layers`);
  }
}

function chooseLayer(layers: readonly Layer[], types: readonly string[], url: string): Layer {
  const suited = layers.filter(({ mediaType }) => types.includes(String(mediaType)));
  const [layer, ...others] = suited.length > 0 ? suited : layers;
  if (layer !== undefined && others.length === 0) return layer;
  const found = suited.length > 0 ? suited.length : layers.length;
  throw malformed(`${printableUrl(url)} has ${found} layers; expected one of ${types.join(', ')}`);
}

function layerIntegrity({ digest }: Layer, url: string): Integrity {
  const [, algorithm, hex] = /^(sha256|sha512):([0-9a-f]+)$/.exec(String(digest)) ?? [];
  const integrity = hex === undefined ? undefined : parseHex(algorithm as 'sha256' | 'sha512', hex);
  if (integrity === undefined) throw malformed(`${printableUrl(url)} has a layer without a digest`);
  return integrity;
}

function malformed(message: string): EntrepotError {
  return new EntrepotError('upstream-unavailable', message, { code: 'UPSTREAM_MALFORMED' });
}
