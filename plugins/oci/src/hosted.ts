import { createHash } from 'node:crypto';
import {
  EntrepotError,
  type ChangeReply,
  type Content,
  type Entry,
  type Expectation,
  type HostedChange,
  type HostedContext,
  type Protocol,
  type ReceivedEntry,
  type RequestHead,
  type Resource,
  type SessionResource,
  type SessionState,
  type UploadResource,
} from '@entrepot/core';
import { renderError } from './errors.js';
import { catalogDocument, lastOf, pageOf, referrersDocument, renderList, tagsDocument } from './lists.js';
import { invalid, parseManifest, type Manifest } from './manifest.js';
import { BLOB_TYPE, isForeign, isMediaType } from './media-types.js';
import type { OciOptions } from './options.js';
import {
  isName,
  isTag,
  KEY,
  looksLikeDigest,
  methodOf,
  parseEndpoint,
  repositoryIn,
  requireDigest,
  type Endpoint,
} from './reference.js';

const DIGEST_HEADER = 'Docker-Content-Digest';
/** `?tag=` of one push (distribution specification, "Pushing Manifests": at least ten are to be taken). */
const MAX_TAGS = 100;
const PAGE = 1_000;
/** Images have some hundred layers at the most; each costs a look. */
const MAX_BLOBS = 2_000;

/** A registry of our own. */
export class OciHosted implements Protocol {
  readonly #options: OciOptions;

  constructor(options: OciOptions) {
    this.#options = options;
  }

  route(head: RequestHead): Resource | undefined {
    const endpoint = parseEndpoint(head.segments);
    if (endpoint === undefined) return undefined;
    switch (endpoint.kind) {
      case 'root':
        return { kind: 'local', status: 200, headers: { 'Content-Type': 'application/json' }, body: '{}' };
      case 'catalog':
        return catalogDocument(pageOf(head.query));
      case 'tags':
        return tagsDocument(endpoint.name, pageOf(head.query));
      case 'referrers':
        requireDigest(endpoint.digest);
        return referrersDocument(
          endpoint.name,
          endpoint.digest,
          head.query.get('artifactType') ?? undefined,
          lastOf(head.query),
        );
      case 'manifest':
        return this.#manifest(endpoint, head);
      case 'blob':
        return this.#blob(endpoint, head);
      case 'uploads':
        return this.#open(endpoint.name, head);
      case 'session':
        return this.#session(endpoint, head);
    }
  }

  #manifest({ name, reference }: Extract<Endpoint, { kind: 'manifest' }>, head: RequestHead): Resource {
    const byDigest = looksLikeDigest(reference);
    const integrity = byDigest ? [requireDigest(reference)] : undefined;
    if (!byDigest && !isTag(reference))
      throw new EntrepotError('bad-request', `${JSON.stringify(reference)} is neither a tag nor a digest`, {
        code: 'TAG_INVALID',
      });
    const common = { accessName: name, coordinates: { ecosystem: 'oci', name, version: reference } };
    const key = byDigest ? KEY.manifest(name, reference) : KEY.tag(name, reference);
    switch (methodOf(head)) {
      case 'GET':
        return byDigest
          ? {
              ...common,
              kind: 'artifact',
              class: 'manifest',
              key,
              upstreamPath: '',
              filename: 'manifest.json',
              integrity,
              digestHeader: DIGEST_HEADER,
            }
          : {
              ...common,
              kind: 'document',
              class: 'tag',
              key,
              upstreamPath: '',
              digestHeader: DIGEST_HEADER,
              // What a tag names is an image: it is scanned and decided on as one.
              pinned: { key: KEY.manifest(name, '{digest}'), upstreamPath: '', digestHeader: 'docker-content-digest' },
            };
      case 'PUT': {
        const tags = byDigest ? head.query.getAll('tag') : [reference];
        if (tags.length > MAX_TAGS)
          throw new EntrepotError('uri-too-long', `A push takes ${MAX_TAGS} tags at the most, found ${tags.length}`);
        const bad = tags.find((tag) => !isTag(tag));
        if (bad !== undefined)
          throw new EntrepotError('bad-request', `${JSON.stringify(bad)} is not a tag`, { code: 'TAG_INVALID' });
        return {
          ...common,
          kind: 'upload',
          action: 'put',
          class: 'manifest',
          key,
          filename: 'manifest.json',
          mediaType: head.header('content-type'),
          overwrite: true,
          maxBytes: this.#options.maxManifestSize,
          integrity,
          exclusive: name,
          attributes: { name, tags, asked: head.query.has('tag'), ...(byDigest && { digest: reference }) },
        };
      }
      case 'DELETE':
        this.#requireDeletes();
        return this.#removal({
          ...common,
          class: byDigest ? 'manifest' : 'tag',
          key,
          attributes: { name, ...(byDigest && { digest: reference }) },
        });
      default:
        throw unsupported(head.method, 'GET, HEAD, PUT, DELETE');
    }
  }

  #blob({ name, digest }: Extract<Endpoint, { kind: 'blob' }>, head: RequestHead): Resource {
    const integrity = [requireDigest(digest)];
    const key = KEY.blob(name, digest);
    if (methodOf(head) === 'GET') {
      const filename = digest.replace(':', '-');
      return {
        kind: 'artifact',
        class: 'blob',
        key,
        upstreamPath: '',
        accessName: name,
        filename,
        integrity,
        mediaType: BLOB_TYPE,
        digestHeader: DIGEST_HEADER,
      };
    }
    if (head.method !== 'DELETE') throw unsupported(head.method, 'GET, HEAD, DELETE');
    this.#requireDeletes();
    return this.#removal({ accessName: name, class: 'blob', key });
  }

  #removal(
    resource: Pick<UploadResource, 'accessName' | 'class' | 'key' | 'coordinates' | 'attributes'>,
  ): UploadResource {
    return {
      ...resource,
      kind: 'upload',
      action: 'delete',
      filename: resource.key,
      overwrite: true,
      maxBytes: 0,
      exclusive: resource.accessName,
    };
  }

  #requireDeletes(): void {
    if (this.#options.deletes) return;
    throw new EntrepotError('method-not-allowed', 'This repository does not delete', {
      code: 'UNSUPPORTED',
      headers: { Allow: 'GET, HEAD' },
    });
  }

  /** Begins an upload; where the bytes are known or all here, ends it at once. */
  #open(name: string, head: RequestHead): Resource {
    if (head.method !== 'POST') throw unsupported(head.method, 'POST');
    const digest = head.query.get('digest');
    if (digest !== null) return this.#blobUpload(name, digest);
    const algorithm = head.query.get('digest-algorithm');
    if (algorithm !== null && algorithm !== 'sha256' && algorithm !== 'sha512') {
      throw new EntrepotError('bad-request', `digest-algorithm=${algorithm}: expected sha256 or sha512`, {
        code: 'DIGEST_INVALID',
      });
    }
    const session = this.#sessionResource(name, 'open');
    const mounted = head.query.get('mount');
    if (mounted === null) return session;
    requireDigest(mounted);
    const from = head.query.get('from') || name;
    // It may be mounted from nowhere: then its bytes are to come.
    if (!isName(from)) return session;
    const link: UploadResource = {
      ...this.#blobUpload(name, mounted),
      action: 'link',
      attributes: { name, digest: mounted, from },
    };
    return { ...session, upload: link };
  }

  #blobUpload(name: string, digest: string): UploadResource {
    return {
      kind: 'upload',
      action: 'put',
      class: 'blob',
      key: KEY.blob(name, digest),
      filename: digest.replace(':', '-'),
      accessName: name,
      mediaType: BLOB_TYPE,
      overwrite: true,
      maxBytes: this.#options.maxBlobSize,
      integrity: [requireDigest(digest)],
      attributes: { name, digest },
    };
  }

  #session({ name, id }: Extract<Endpoint, { kind: 'session' }>, head: RequestHead): Resource {
    switch (methodOf(head)) {
      case 'GET':
        return this.#sessionResource(name, 'status', id);
      case 'DELETE':
        return this.#sessionResource(name, 'cancel', id);
      case 'PATCH':
        return { ...this.#sessionResource(name, 'append', id), range: contentRange(head) };
      case 'PUT': {
        const digest = head.query.get('digest');
        if (digest === null)
          throw new EntrepotError('bad-request', 'The end of an upload names its digest: ?digest=sha256:…', {
            code: 'DIGEST_INVALID',
          });
        return {
          ...this.#sessionResource(name, 'complete', id),
          range: contentRange(head),
          upload: this.#blobUpload(name, digest),
        };
      }
      default:
        throw unsupported(head.method, 'GET, HEAD, PATCH, PUT, DELETE');
    }
  }

  #sessionResource(name: string, action: SessionResource['action'], id?: string): SessionResource {
    return {
      kind: 'session',
      action,
      class: 'blob',
      scope: name,
      accessName: name,
      id,
      maxBytes: this.#options.maxBlobSize,
    };
  }

  sessionReply(
    { action, scope }: SessionResource,
    { id, size }: SessionState,
    { baseUrl }: Pick<HostedContext, 'baseUrl'>,
  ): ChangeReply {
    const headers = {
      Location: `${pathOf(baseUrl)}/${scope}/blobs/uploads/${id}`,
      // The specification has no word for "nothing yet"; registries and clients say and read `0-0`.
      Range: `0-${Math.max(0, size - 1)}`,
      'Docker-Upload-UUID': id,
    };
    return action === 'status'
      ? { status: 204, headers }
      : action === 'cancel'
        ? { status: 204 }
        : { status: 202, headers };
  }

  async receive(upload: UploadResource, content: Content, context: HostedContext): Promise<HostedChange> {
    if (upload.class === 'blob') return blobChange(upload, context);
    return await this.#receiveManifest(upload, content, context);
  }

  async #receiveManifest(upload: UploadResource, content: Content, context: HostedContext): Promise<HostedChange> {
    const { name, tags, asked, digest } = upload.attributes as {
      name: string;
      tags: string[];
      asked: boolean;
      digest?: string;
    };
    const bytes = await content.bytes(this.#options.maxManifestSize);
    const manifest = parseManifest(bytes);
    const mediaType = requireMediaType(upload.mediaType, manifest);
    const blobs = this.#options.sparse ? [] : await requireBlobs(name, manifest, context);
    const { subject } = manifest;
    if (subject !== undefined) requireDigest(subject.digest);
    const canonical = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const names = digest === undefined || digest === canonical ? [canonical] : [canonical, digest];
    const attributes = { ...(subject !== undefined && { subject: subject.digest }), names };
    const entry = {
      mediaType,
      headers: digestHeaders(digest),
      coordinates: { ecosystem: 'oci', name, version: digest ?? canonical },
    };
    const kept = await Promise.all(tags.map((tag) => context.find(KEY.tag(name, tag))));
    const moved = tags.filter(
      (tag, index) =>
        kept[index] !== undefined && kept[index]?.digest !== canonical && this.#options.isImmutableTag(tag),
    );
    if (moved.length > 0)
      throw new EntrepotError('conflict', `The tag ${moved[0] as string} is never moved in this repository`, {
        code: 'DENIED',
      });
    const replace: ReceivedEntry[] = [
      ...names.map((one) => ({ ...entry, key: KEY.manifest(name, one), headers: digestHeaders(one), attributes })),
      ...tags.map((tag) => ({
        ...entry,
        key: KEY.tag(name, tag),
        coordinates: { ecosystem: 'oci', name, version: tag },
      })),
      { ...entry, key: KEY.name(name), coordinates: undefined },
    ];
    if (subject !== undefined) {
      const attributes = referrerOf(manifest, mediaType, digest ?? canonical, bytes.length);
      replace.push({ ...entry, key: KEY.referrer(name, subject.digest, digest ?? canonical), attributes });
    }
    // A blob that is deleted meanwhile must not leave an image without it.
    const expect = [...blobs, ...tags.map((tag, index) => ({ key: KEY.tag(name, tag), digest: kept[index]?.digest }))];
    return {
      replace,
      expect,
      reply: {
        status: 201,
        headers: {
          Location: `${pathOf(context.baseUrl)}/${name}/manifests/${digest ?? canonical}`,
          [DIGEST_HEADER]: digest ?? canonical,
          ...(subject !== undefined && { 'OCI-Subject': subject.digest }),
          ...(asked && { 'OCI-Tag': tags.join(', ') }),
        },
      },
    };
  }

  async alter(upload: UploadResource, context: HostedContext): Promise<HostedChange> {
    if (upload.action === 'link') return await mount(upload, context);
    const entry = await context.find(upload.key);
    if (entry === undefined) throw new EntrepotError('not-found', `There is no ${upload.key}`);
    const reply: ChangeReply = { status: 202 };
    if (upload.class !== 'manifest')
      return { remove: [upload.key], expect: [{ key: upload.key, digest: entry.digest }], reply };
    const { name } = upload.attributes as { name: string };
    return {
      remove: await everythingOf(name, entry, context),
      expect: [{ key: upload.key, digest: entry.digest }],
      reply,
    };
  }

  render = renderList;
  renderError = renderError;
}

function blobChange(
  { key, attributes }: UploadResource,
  { baseUrl }: Pick<HostedContext, 'baseUrl'>,
  sameAs?: Entry,
): HostedChange {
  const { name, digest } = attributes as { name: string; digest: string };
  const headers = { Location: `${pathOf(baseUrl)}/${name}/blobs/${digest}`, [DIGEST_HEADER]: digest };
  return {
    replace: [{ key, mediaType: BLOB_TYPE, headers: digestHeaders(digest), sameAs }],
    reply: { status: 201, headers },
  };
}

/** Of bytes that are named by another algorithm than ours: kept with them, since core only knows its own. */
function digestHeaders(digest: string | undefined): Readonly<Record<string, string>> | undefined {
  return digest === undefined || digest.startsWith('sha256:') ? undefined : { [DIGEST_HEADER.toLowerCase()]: digest };
}

/**
 * The bytes that another name has. Clients say it as they say it in paths: behind the name of the repository, where that is
 * at a mount that repositories share. A name that the caller may not read has none, so far as they are told.
 */
async function mount(upload: UploadResource, context: HostedContext): Promise<HostedChange> {
  const { from, digest } = upload.attributes as { from: string; digest: string };
  const repository = repositoryIn(context.baseUrl);
  const own = repository !== undefined && from.startsWith(`${repository}/`) ? from.slice(repository.length + 1) : from;
  for (const name of new Set([own, from])) {
    if (!context.caller.may({ right: 'read', name })) continue;
    const source = await context.find(KEY.blob(name, digest));
    if (source !== undefined) return blobChange(upload, context, source);
  }
  throw new EntrepotError('not-found', `${from} has no blob ${digest}`);
}

/** A manifest goes with its tags, its other name, and its place in the list of what refers to its subject. */
async function everythingOf(name: string, manifest: Entry, context: HostedContext): Promise<string[]> {
  const { names = [], subject } = (manifest.attributes ?? {}) as { names?: string[]; subject?: string };
  const keys = names.flatMap((one) => [
    KEY.manifest(name, one),
    ...(subject === undefined ? [] : [KEY.referrer(name, subject, one)]),
  ]);
  const prefix = KEY.tag(name, '');
  let after: string | undefined;
  for (;;) {
    const page = await context.list({ prefix, after, limit: PAGE });
    keys.push(...page.filter(({ digest }) => digest === manifest.digest).map(({ key }) => key));
    if (page.length < PAGE) return keys;
    after = page.at(-1)?.key;
  }
}

/** The type of a manifest is what it was pushed as; where it says one of its own, both agree. */
function requireMediaType(pushedAs: string | undefined, { mediaType, manifests }: Manifest): string {
  const bare = pushedAs?.split(';', 1)[0]?.trim();
  for (const type of [bare, mediaType])
    if (type && !isMediaType(type)) throw invalid(`${JSON.stringify(type)} is no media type`);
  if (bare === undefined || bare === '') {
    if (mediaType !== undefined) return mediaType;
    throw invalid('expected a Content-Type, or a mediaType in the manifest');
  }
  if (mediaType === undefined || mediaType === bare) return bare;
  throw invalid(
    `its mediaType is ${mediaType}, but it was pushed as ${bare}${manifests.length > 0 ? ' (an index)' : ''}`,
  );
}

/** An image without its layers can be pulled by nobody; an index may name platforms that are elsewhere. */
async function requireBlobs(
  name: string,
  { blobs }: Manifest,
  context: HostedContext,
): Promise<readonly Expectation[]> {
  const needed = blobs.filter(({ mediaType }) => !isForeign(mediaType));
  // Each once: 4 MiB have room for the same layer ten thousands of times.
  const digests = new Set(needed.map((blob) => blob.digest));
  if (digests.size > MAX_BLOBS) throw invalid(`it names ${digests.size} blobs; expected ${MAX_BLOBS} at the most`);
  const found: Expectation[] = [];
  for (const digest of digests) {
    requireDigest(digest);
    const key = KEY.blob(name, digest);
    const entry = await context.find(key);
    if (entry !== undefined) {
      found.push({ key, digest: entry.digest });
      continue;
    }
    throw new EntrepotError('bad-request', `The manifest needs the blob ${digest}, which ${name} does not have`, {
      code: 'MANIFEST_BLOB_UNKNOWN',
    });
  }
  return found;
}

/** The descriptor of a referrer in the list of its subject. */
function referrerOf(
  { artifactType, annotations }: Manifest,
  mediaType: string,
  digest: string,
  size: number,
): Readonly<Record<string, unknown>> {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
}

/** `Content-Range` of a chunk: `0-99` by the specification; some clients send the form of HTTP. */
function contentRange(head: RequestHead): SessionResource['range'] {
  const header = head.header('content-range');
  if (header === undefined) return undefined;
  const [, start, end] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim()) ?? [];
  if (start !== undefined && Number(start) <= Number(end)) return { start: Number(start), end: Number(end) };
  throw new EntrepotError('bad-request', `Content-Range: expected <start>-<end>, found ${JSON.stringify(header)}`, {
    code: 'SIZE_INVALID',
  });
}

/** Locations are paths: right behind every proxy that ends TLS. */
function pathOf(baseUrl: string): string {
  return new URL(baseUrl).pathname.replace(/\/$/, '');
}

function unsupported(method: string, allowed: string): EntrepotError {
  return new EntrepotError('method-not-allowed', `${method} is not possible here; expected ${allowed}`, {
    code: 'UNSUPPORTED',
    headers: { Allow: allowed },
  });
}
