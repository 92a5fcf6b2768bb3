import { createHash } from 'node:crypto';
import { EntrepotError, printableUrl } from '../../api/errors.js';
import { integrityMismatch, parseHex, printIntegrity, type Integrity } from '../../api/integrity.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { ArtifactResource } from '../request/resource.js';
import { readBody } from './upstream-reply.js';
import type { QueryPlace, UpstreamReply } from './query.js';
import type { Upstreams } from './upstreams.js';

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

/** A layer of an image in a registry, which is an artifact. */
export interface OciLayer {
  readonly place: QueryPlace;
  readonly integrity: readonly Integrity[];
  /** Bytes. */
  readonly size: number | undefined;
}

/** Whether a location is one in a registry. */
export function isOciLocation(location: string | undefined): location is string {
  return location?.toLowerCase().startsWith('oci://') === true;
}

/**
 * Finds an artifact that a document says is in a registry (charts of a Helm repository): the layer of the named image whose
 * media type is the one that the artifact accepts, or the only one.
 * @param description says a location of this kind
 * @throws EntrepotError `upstream-unavailable` when the image is none that can be used, `integrity` when the document
 * promises other bytes than the image has; or as `Upstreams.fetch`
 */
export async function findOciLayer(
  upstreams: Upstreams,
  resource: ArtifactResource,
  description: ArtifactDescription & { readonly namedBy?: string | undefined },
  signal: AbortSignal,
): Promise<OciLayer> {
  const { registry, name, reference, promised } = parseLocation(description);
  const place: QueryPlace = { namedBy: description.namedBy, tokenScope: `repository:${name}:pull` };
  const reply = await upstreams.fetch({
    method: 'GET',
    ...place,
    location: `${registry}/v2/${name}/manifests/${reference}`,
    headers: { accept: MANIFESTS, 'accept-encoding': 'identity' },
    signal,
    skipUnhealthy: false,
  });
  const layer = chooseLayer(parseLayers(await readManifest(reply, promised), reply.url), resource, reply.url);
  const integrity = layerIntegrity(layer, reply.url);
  const said = description.integrity.filter(({ algorithm }) => algorithm === integrity.algorithm);
  if (said.length > 0 && !said.some(({ hex }) => hex === integrity.hex))
    throw integrityMismatch(resource.key, said, integrity);
  return {
    place: { ...place, location: `${registry}/v2/${name}/blobs/${printIntegrity(integrity)}` },
    integrity: [...description.integrity, integrity],
    size: Number.isSafeInteger(layer.size) ? (layer.size as number) : undefined,
  };
}

function parseLocation({
  location,
  namedBy,
  coordinates,
}: ArtifactDescription & { readonly namedBy?: string | undefined }): OciReference {
  const [, host, name, tag = coordinates?.version, digest] = LOCATION.exec(location ?? '') ?? [];
  const reference = digest ?? tag;
  if (host === undefined || name === undefined || reference === undefined) {
    throw malformed('The upstream names a location that is not oci://host/name:tag or oci://host/name@sha256:…');
  }
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

async function readManifest(reply: UpstreamReply, promised: Integrity | undefined): Promise<string> {
  const bytes = await readBody(reply, reply.url, MAX_MANIFEST);
  const hex = createHash('sha256').update(bytes).digest('hex');
  if (promised !== undefined && promised.hex !== hex)
    throw integrityMismatch(printableUrl(reply.url), [promised], { algorithm: 'sha256', hex });
  return bytes.toString();
}

interface Layer {
  readonly mediaType?: unknown;
  readonly digest?: unknown;
  readonly size?: unknown;
}

function parseLayers(json: string, url: string): readonly Layer[] {
  let layers: unknown;
  try {
    layers = (JSON.parse(json) as { layers?: unknown } | null)?.layers;
  } catch {
    layers = undefined;
  }
  if (Array.isArray(layers) && layers.every((layer) => typeof layer === 'object' && layer !== null)) return layers;
  throw malformed(`${printableUrl(url)} sent no manifest with layers`);
}

function chooseLayer(layers: readonly Layer[], { accept }: ArtifactResource, url: string): Layer {
  const accepted = accept?.split(',').map((type) => type.trim()) ?? [];
  const suited = layers.filter(({ mediaType }) => accepted.includes(String(mediaType)));
  const [layer, ...others] = suited.length > 0 ? suited : layers;
  if (layer !== undefined && others.length === 0) return layer;
  throw malformed(
    `${printableUrl(url)} has ${suited.length > 0 ? suited.length : layers.length} layers; expected one of ${accept ?? 'any type'}`,
  );
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
