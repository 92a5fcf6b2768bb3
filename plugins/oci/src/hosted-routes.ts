import {
  EntrepotError,
  requireMethod,
  type ByteRange,
  type RepositoryFacts,
  type RequestHead,
  type Resource,
  type Route,
  type SessionStep,
} from '@entrepot/core';
import { badRequest } from './errors.js';
import type { OciOptions } from './options.js';
import { lastOf, pageOf, queryOf, type Page } from './paging.js';
import { integrityIn, isName, isTag, KEY, parseEndpoint, requireDigest } from './reference.js';
import { ROOT } from './select.js';

/** `?tag=` of one push (distribution specification, "Pushing Manifests": at least ten are to be taken). */
const MAX_TAGS = 100;
const DEFAULT_CATALOG_PAGE = 100;
const MAX_CATALOG_PAGE = 1_000;
const REFERRERS_PAGE = 1_000;
/** The step of an upload that a method stands for. */
const ACTIONS = { GET: 'status', PATCH: 'append', PUT: 'complete', DELETE: 'cancel' } as const;

/** Data of resources that the hooks of a hosted registry need. */
export interface HostedAttributes {
  /** The name of the repository; empty for the catalog. */
  readonly name: string;
  /** The digest that a change or a list is about. */
  readonly digest?: string;
  /** The part of a list that is asked for. */
  readonly page?: Page;
  /** The type that a list of referrers is filtered by. */
  readonly artifactType?: string;
  /** The tags that a manifest is pushed under, and whether `?tag=` names them. */
  readonly tags?: readonly string[];
  readonly isTagged?: boolean;
  /** The `Content-Type` of a push. */
  readonly mediaType?: string;
  /** The name that a blob is mounted from. */
  readonly from?: string;
  /** A step of an upload in several requests. */
  readonly step?: SessionStep;
}

/** Reads the data that `route` gave a resource. */
export function attributesOf(resource: Resource): HostedAttributes {
  return resource.attributes as unknown as HostedAttributes;
}

export const nameOf = (resource: Resource): string => attributesOf(resource).name;
export const policy = { accessName: nameOf };

/** A registry of our own. */
export class OciHosted {
  readonly repository: string;
  readonly options: OciOptions;

  constructor(options: OciOptions, repository: RepositoryFacts) {
    this.repository = repository.name;
    this.options = options;
  }

  route(head: RequestHead): Route | undefined {
    const endpoint = parseEndpoint(head.segments);
    if (endpoint === undefined) return undefined;
    if (endpoint.kind === 'root') return ROOT;
    if (endpoint.kind === 'catalog') return catalogResource(head);
    const { name } = endpoint;
    if (endpoint.kind === 'tags') return tagsResource(name, head);
    if (endpoint.kind === 'referrers') return referrersResource(name, endpoint.digest, head);
    if (endpoint.kind === 'manifest') return this.#manifest(name, endpoint.reference, head);
    if (endpoint.kind === 'blob') return this.#blob(name, endpoint.digest, head);
    return endpoint.kind === 'uploads' ? openingUpload(name, head) : uploadStep(name, endpoint.id, head);
  }

  #manifest(name: string, reference: string, head: RequestHead): Resource {
    const integrity = integrityIn(reference);
    const of = integrity === undefined ? 'tag' : 'manifest';
    const resource = {
      key: KEY[of](name, reference),
      coordinates: { ecosystem: 'oci', name, version: reference },
      attributes: { name, digest: integrity && reference },
    };
    const method = requireMethod(head, ['GET', 'PUT', 'DELETE']);
    if (method === 'GET') return { ...resource, class: of, integrity };
    if (method === 'DELETE') {
      this.#requireDeletes(head);
      return { ...resource, class: `${of}-deletion` };
    }
    const attributes = {
      ...resource.attributes,
      tags: integrity === undefined ? [reference] : tagsIn(head.query),
      isTagged: head.query.has('tag'),
      mediaType: head.header('content-type'),
    };
    return { ...resource, class: 'manifest-push', integrity, attributes };
  }

  #blob(name: string, digest: string, head: RequestHead): Resource {
    const resource = { key: KEY.blob(name, digest), attributes: { name, digest } };
    const integrity = [requireDigest(digest)];
    if (requireMethod(head, ['GET', 'DELETE']) === 'GET') return { ...resource, class: 'blob', integrity };
    this.#requireDeletes(head);
    return { ...resource, class: 'blob-deletion' };
  }

  #requireDeletes(head: RequestHead): void {
    if (!this.options.deletes) requireMethod(head, ['GET'], 'This repository does not delete');
  }
}

function catalogResource({ query }: RequestHead): Resource {
  const { n = DEFAULT_CATALOG_PAGE, last } = pageOf(query);
  const page = { n: Math.min(n, MAX_CATALOG_PAGE), last };
  return { class: 'catalog', key: `catalog${queryOf(page)}`, attributes: { name: '', page } };
}

function tagsResource(name: string, { query }: RequestHead): Resource {
  const page = pageOf(query);
  return { class: 'tags', key: `tags/${name}${queryOf(page)}`, attributes: { name, page } };
}

function referrersResource(name: string, digest: string, { query }: RequestHead): Resource {
  requireDigest(digest);
  const artifactType = query.get('artifactType') ?? undefined;
  const page = { n: REFERRERS_PAGE, last: lastOf(query) };
  return {
    class: 'referrers',
    key: `referrers/${name}@${digest}`,
    variant: artifactType,
    attributes: { name, digest, page, artifactType },
  };
}

function tagsIn(query: URLSearchParams): readonly string[] {
  const tags = query.getAll('tag');
  if (tags.length > MAX_TAGS)
    throw new EntrepotError('uri-too-long', `A push takes ${MAX_TAGS} tags at the most, found ${tags.length}`);
  const bad = tags.find((tag) => !isTag(tag));
  if (bad === undefined) return tags;
  throw badRequest('TAG_INVALID', `${JSON.stringify(bad)} is not a tag`);
}

function blobPush(name: string, digest: string): Resource {
  const integrity = [requireDigest(digest)];
  return { class: 'blob-push', key: KEY.blob(name, digest), integrity, attributes: { name, digest } };
}

/** Begins an upload; where the bytes are known or all here, ends it at once. */
function openingUpload(name: string, head: RequestHead): Resource {
  requireMethod(head, ['POST']);
  const digest = head.query.get('digest');
  if (digest !== null) return blobPush(name, digest);
  const algorithm = head.query.get('digest-algorithm');
  if (algorithm !== null && algorithm !== 'sha256' && algorithm !== 'sha512')
    throw badRequest('DIGEST_INVALID', `digest-algorithm=${algorithm}: expected sha256 or sha512`);
  const mounted = head.query.get('mount');
  if (mounted !== null) requireDigest(mounted);
  const from = head.query.get('from') || name;
  // It may be mounted from nowhere: then its bytes are to come.
  const change = mounted !== null && isName(from) ? blobMount(name, mounted, from) : undefined;
  return upload({ action: 'open', owner: name, change });
}

function blobMount(name: string, digest: string, from: string): Resource {
  return { ...blobPush(name, digest), class: 'blob-mount', attributes: { name, digest, from } };
}

function uploadStep(owner: string, id: string, head: RequestHead): Resource {
  const action = ACTIONS[requireMethod(head, ['GET', 'PATCH', 'PUT', 'DELETE'])];
  if (action === 'status' || action === 'cancel') return upload({ action, owner, id });
  const range = contentRange(head);
  if (action === 'append') return upload({ action, owner, id, range });
  const digest = head.query.get('digest');
  if (digest !== null) return upload({ action, owner, id, range, change: blobPush(owner, digest) });
  throw badRequest('DIGEST_INVALID', 'The end of an upload names its digest: ?digest=sha256:…');
}

function upload(step: SessionStep): Resource {
  return { class: 'upload', key: `upload/${step.owner}`, attributes: { name: step.owner, step } };
}

/** `Content-Range` of a chunk: `0-99` by the specification; some clients send the form of HTTP. */
function contentRange(head: RequestHead): ByteRange | undefined {
  const header = head.header('content-range');
  if (header === undefined) return undefined;
  const [, start, end] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim()) ?? [];
  if (start !== undefined && Number(start) <= Number(end)) return { start: Number(start), end: Number(end) };
  throw badRequest('SIZE_INVALID', `Content-Range: expected <start>-<end>, found ${JSON.stringify(header)}`);
}
