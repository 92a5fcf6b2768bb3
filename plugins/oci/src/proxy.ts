import {
  EntrepotError,
  type ArtifactDescription,
  type ArtifactResource,
  type Content,
  type DocumentResource,
  type PackageCoordinates,
  type PartReference,
  type Protocol,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
} from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';
import { renderError } from './errors.js';
import {
  describeTags,
  listPage,
  MAX_LIST,
  MAX_REFERRERS,
  noReferrers,
  passedQuery,
  produceNoReferrers,
  requireList,
  rewriteList,
  type ListPage,
} from './lists.js';
import { mediaTypeIn, parseManifest, requireManifest, type Manifest } from './manifest.js';
import { BLOB_TYPE, EXPECTED_MANIFEST_TYPES, INDEX_TYPE, MANIFEST_ACCEPT, MANIFEST_TYPES } from './media-types.js';
import { isNamespace, namespaceOf } from './namespaces.js';
import type { OciOptions } from './options.js';
import { signedPart } from './signed-manifest.js';
import { isTag, KEY, looksLikeDigest, methodOf, parseEndpoint, requireDigest } from './reference.js';

/** The largest manifest that is taken, in bytes: registries take 4 MiB at the most (distribution specification, "Pushing Manifests"). */
const MAX_MANIFEST = 16 * 1024 * 1024;
/** A name and a digest. What is longer names no blob that could be asked for. */
const LONGEST_KEY = 512;
/** How many parts of an image are as old as it. */
const MAX_PARTS = 2_000;
/** How many sizes of blobs are remembered from manifests. */
const MAX_SIZES = 20_000;

/** Not HTML: that is a captive portal, or a login page. */
const LIST_TYPES = ['application/json', 'application/octet-stream', 'text/plain'];

const DIGEST_HEADER = 'Docker-Content-Digest';

/** How a reply says its digest: core knows its own algorithm; the other stands in the request. */
function named(digest: string): Pick<ArtifactResource, 'digestHeader' | 'replyHeaders'> {
  return digest.startsWith('sha256:') ? { digestHeader: DIGEST_HEADER } : { replyHeaders: { [DIGEST_HEADER]: digest } };
}

/** A pull-through proxy of a registry. */
export class OciProxy implements Protocol {
  readonly #options: OciOptions;
  readonly #isDockerHub: boolean;
  /** The sizes of blobs by key, as manifests of their name said: some registries refuse HEAD for blobs. */
  readonly #sizes = new Lru<number>(MAX_SIZES);

  constructor(options: OciOptions, { upstreams }: RepositoryFacts) {
    this.#options = options;
    this.#isDockerHub = options.library ?? upstreams.some(({ url }) => namespaceOf(url) === 'docker.io');
  }

  route(head: RequestHead): Resource | undefined {
    const endpoint = parseEndpoint(head.segments);
    if (endpoint === undefined) return undefined;
    if (endpoint.kind === 'root')
      return { kind: 'local', status: 200, headers: { 'Content-Type': 'application/json' }, body: '{}' };
    if (methodOf(head) !== 'GET') {
      throw new EntrepotError('method-not-allowed', 'This repository is a proxy: it can only be pulled from', {
        code: 'UNSUPPORTED',
        headers: { Allow: 'GET, HEAD' },
      });
    }
    const namespace = head.query.get('ns');
    const resource = this.#resourceOf(endpoint, head);
    return namespace === null || !isNamespace(namespace)
      ? resource
      : { ...resource, replyHeaders: { 'OCI-Namespace': namespace, ...resource.replyHeaders } };
  }

  #resourceOf(
    endpoint: Exclude<ReturnType<typeof parseEndpoint>, undefined | { kind: 'root' }>,
    head: RequestHead,
  ): ArtifactResource | DocumentResource {
    switch (endpoint.kind) {
      case 'manifest':
        return this.#manifest(endpoint.name, endpoint.reference);
      case 'blob':
        return this.#blob(endpoint.name, endpoint.digest);
      case 'tags':
        return this.#tags(endpoint.name, listPage(head, endpoint.name));
      case 'referrers':
        return this.#referrers(endpoint.name, endpoint.digest, passedQuery(head));
      case 'catalog':
        return this.#catalog(listPage(head));
      default:
        throw new EntrepotError('method-not-allowed', 'This repository is a proxy: it takes no uploads', {
          code: 'UNSUPPORTED',
          headers: { Allow: 'GET, HEAD' },
        });
    }
  }

  /** The name as the upstream has it. Docker Hub keeps its official images under `library/`. */
  #upstreamName(name: string): string {
    const full = this.#isDockerHub && !name.includes('/') ? `library/${name}` : name;
    if (this.#options.mayPull(full)) return full;
    throw new EntrepotError(
      'forbidden',
      `${full} may not be pulled through this repository (its options allow and deny)`,
      {
        code: 'DENIED',
      },
    );
  }

  #manifest(clientName: string, reference: string): ArtifactResource | DocumentResource {
    const name = this.#upstreamName(clientName);
    const common = {
      upstreamPath: `v2/${name}/manifests/${reference}`,
      accept: MANIFEST_ACCEPT,
      tokenScope: `repository:${name}:pull`,
      accessName: clientName,
      expectedMediaTypes: EXPECTED_MANIFEST_TYPES,
      maxBytes: MAX_MANIFEST,
      coordinates: { ecosystem: 'oci', name, version: reference },
    };
    if (looksLikeDigest(reference)) {
      return {
        ...common,
        kind: 'artifact',
        class: 'manifest',
        key: KEY.manifest(name, reference),
        filename: 'manifest.json',
        integrity: [requireDigest(reference)],
        namedBelow: {
          kind: 'document',
          class: 'tag',
          key: KEY.tag(name, ''),
          upstreamPath: '',
          coordinates: { ecosystem: 'oci', name },
        },
        ...named(reference),
      };
    }
    if (!isTag(reference))
      throw new EntrepotError('bad-request', `${JSON.stringify(reference)} is neither a tag nor a digest`, {
        code: 'TAG_INVALID',
      });
    const freshFor = this.#options.freshForTag(reference);
    return {
      ...common,
      kind: 'document',
      class: 'tag',
      key: KEY.tag(name, reference),
      digestHeader: DIGEST_HEADER,
      // What is said of this tag holds, also where it is longer than tags are kept unasked otherwise.
      freshness: freshFor === undefined ? undefined : { freshFor, expireAfter: Infinity },
      pinned: {
        key: KEY.manifest(name, '{digest}'),
        upstreamPath: `v2/${name}/manifests/{digest}`,
        digestHeader: 'docker-content-digest',
      },
    };
  }

  #blob(clientName: string, digest: string): ArtifactResource {
    const name = this.#upstreamName(clientName);
    return {
      kind: 'artifact',
      class: 'blob',
      key: KEY.blob(name, digest),
      filename: digest.replace(':', '-'),
      upstreamPath: `v2/${name}/blobs/${digest}`,
      tokenScope: `repository:${name}:pull`,
      accessName: clientName,
      integrity: [requireDigest(digest)],
      // Layers are shared by many images: only a name that is refused as a whole takes its own with it.
      coordinates: { ecosystem: 'oci', name },
      sidecar: true,
      contentAddressed: true,
      size: this.#sizes.get(KEY.blob(name, digest)),
      mediaType: BLOB_TYPE,
      ...named(digest),
    };
  }

  #tags(clientName: string, { query, variant }: ListPage): DocumentResource {
    const name = this.#upstreamName(clientName);
    return {
      kind: 'document',
      class: 'tags',
      key: `tags/${name}${query}`,
      maxBytes: MAX_LIST,
      coordinates: { ecosystem: 'oci', name },
      upstreamPath: `v2/${name}/tags/list${query}`,
      // What was pulled can be listed while the upstream is down.
      keptBelow: KEY.tag(name, ''),
      tokenScope: `repository:${name}:pull`,
      accessName: clientName,
      accept: 'application/json',
      expectedMediaTypes: LIST_TYPES,
      mediaType: 'application/json',
      rewritten: true,
      variant,
    };
  }

  #catalog({ query, variant }: ListPage): DocumentResource {
    return {
      kind: 'document',
      class: 'catalog',
      key: `catalog${query}`,
      maxBytes: MAX_LIST,
      upstreamPath: `v2/_catalog${query}`,
      tokenScope: 'registry:catalog:*',
      accept: 'application/json',
      expectedMediaTypes: LIST_TYPES,
      mediaType: 'application/json',
      rewritten: true,
      variant,
    };
  }

  #referrers(clientName: string, digest: string, query: string): DocumentResource {
    const name = this.#upstreamName(clientName);
    const { algorithm, hex } = requireDigest(digest);
    return {
      kind: 'document',
      class: 'referrers',
      key: `referrers/${name}@${digest}${query}`,
      coordinates: { ecosystem: 'oci', name },
      maxBytes: MAX_REFERRERS,
      upstreamPath: `v2/${name}/referrers/${digest}${query}`,
      tokenScope: `repository:${name}:pull`,
      accessName: clientName,
      accept: INDEX_TYPE,
      expectedMediaTypes: [INDEX_TYPE, ...LIST_TYPES],
      unknownToSome: true,
      mediaType: INDEX_TYPE,
      rewritten: true,
      variant: clientName,
      // A registry without the API keeps the same list under a tag (distribution specification, "Referrers Tag Schema").
      otherwise: {
        kind: 'document',
        class: 'referrers',
        key: `referrers/${name}:${algorithm}-${hex}`,
        coordinates: { ecosystem: 'oci', name },
        maxBytes: MAX_REFERRERS,
        upstreamPath: `v2/${name}/manifests/${algorithm}-${hex}`,
        tokenScope: `repository:${name}:pull`,
        accessName: clientName,
        accept: INDEX_TYPE,
        expectedMediaTypes: [INDEX_TYPE, ...LIST_TYPES],
        unknownToSome: true,
        mediaType: INDEX_TYPE,
        otherwise: noReferrers(name, digest),
      },
    };
  }

  partPath({ name }: PackageCoordinates, { digest, mediaType }: PartReference): string {
    const isManifest = mediaType !== undefined && MANIFEST_TYPES.includes(mediaType);
    return `/${name}/${isManifest ? 'manifests' : 'blobs'}/${digest}`;
  }

  documentPath({ name }: PackageCoordinates): string {
    return `/${name}/tags/list`;
  }

  async describe(document: DocumentResource, content: Content): Promise<ReadonlyMap<string, ArtifactDescription>> {
    if (document.class === 'tags') return describeTags(document, content);
    if (document.class !== 'tag') {
      await requireList(document, content);
      return new Map();
    }
    const bytes = await content.bytes(MAX_MANIFEST);
    requireManifest(bytes);
    this.#learnSizes(document.coordinates?.name ?? '', bytes);
    return partsOf(document.coordinates?.name ?? '', bytes);
  }

  /** Of one image, all is as old as its manifest. */
  async partsOf(
    { class: of, coordinates }: ArtifactResource | DocumentResource,
    content: Content,
  ): Promise<readonly PackageCoordinates[]> {
    if ((of !== 'tag' && of !== 'manifest') || coordinates === undefined || content.size > MAX_MANIFEST) return [];
    const { manifests, blobs } = readManifest(await content.bytes(MAX_MANIFEST));
    const parts = [...manifests, ...blobs].slice(0, MAX_PARTS).filter(({ digest }) => looksLikeDigest(digest));
    return parts.map(({ digest }) => ({ ...coordinates, version: digest }));
  }

  async verify(artifact: ArtifactResource, content: Content): Promise<void> {
    if (artifact.class === 'manifest')
      this.#learnSizes(artifact.coordinates?.name ?? '', await content.bytes(MAX_MANIFEST));
  }

  /** What is no manifest of a form that we know is passed on all the same: its digest says that it is right. */
  #learnSizes(name: string, bytes: Uint8Array): void {
    try {
      for (const { digest, size } of parseManifest(bytes).blobs) {
        const key = KEY.blob(name, digest);
        if (key.length <= LONGEST_KEY) this.#sizes.set(key, size);
      }
    } catch {
      // There is nothing to learn.
    }
  }

  async mediaTypeOf(resource: ArtifactResource | DocumentResource, content: Content): Promise<string | undefined> {
    if (resource.class !== 'tag' && resource.class !== 'manifest') return undefined;
    return mediaTypeIn(await content.bytes(MAX_MANIFEST));
  }

  async namedPart(resource: ArtifactResource | DocumentResource, content: Content): Promise<Uint8Array | undefined> {
    if (resource.class !== 'tag' && resource.class !== 'manifest') return undefined;
    return content.size > MAX_MANIFEST ? undefined : signedPart(await content.bytes(MAX_MANIFEST));
  }

  rewrite = rewriteList;
  produce = produceNoReferrers;
  renderError = renderError;
}

/** The manifests that an index brings along, by their keys: they go by its name. */
function partsOf(name: string, bytes: Uint8Array): ReadonlyMap<string, ArtifactDescription> {
  return new Map(readManifest(bytes).manifests.map(({ digest }) => [KEY.manifest(name, digest), { integrity: [] }]));
}

/** Reads the parts that a manifest names; an unknown form names none. */
function readManifest(bytes: Uint8Array): Pick<Manifest, 'manifests' | 'blobs'> {
  try {
    return parseManifest(bytes);
  } catch {
    return { manifests: [], blobs: [] };
  }
}
