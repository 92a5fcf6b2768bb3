import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Digest } from '../api/digest.js';
import type { Entry } from '../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import type { ReceivedEntry } from '../api/hosted.js';
import type { ArtifactResource, DocumentResource, SessionResource, UploadResource } from '../api/resource.js';
import type { Admission } from './admission.js';
import { cacheStatus, outcomeOf, xCache } from './outcome.js';
import { noneMatch } from './range.js';
import type { EngineReply, EngineRequest, EngineServices, RepositoryDefinition } from './repository.js';
import type { Representations } from './representations.js';
import { respond } from './respond.js';
import { Spool } from './spool.js';

/** Entries are read from the index in pages of this many. */
const PAGE = 1_000;

/** What hosted serving works with. */
export interface HostedContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly admission: Admission;
  readonly representations: Representations;
}

/** Serves a hosted repository: we are the origin. */
export class HostedServing {
  readonly #context: HostedContext;

  constructor(context: HostedContext) {
    this.#context = context;
  }

  async serve(request: EngineRequest, resource: ArtifactResource | DocumentResource): Promise<EngineReply> {
    const { definition, services, admission, representations } = this.#context;
    if (resource.coordinates !== undefined) admission.require('request', resource.coordinates);
    if (resource.kind === 'document' && resource.fromEntries !== undefined)
      return await this.#serveList(request, resource, resource.fromEntries.prefix);
    const entry = await services.storage.entries.find(definition.name, resource.key);
    if (entry === undefined) throw missing(resource.key);
    const shown = await representations.kept(request, resource, entry, { name: 'hit' });
    if (shown === undefined)
      throw new EntrepotError('storage', `The blob of ${resource.key} is missing`, { code: 'BLOB_MISSING' });
    return await respond(request, shown);
  }

  async #serveList(request: EngineRequest, resource: DocumentResource, prefix: string): Promise<EngineReply> {
    const { definition, services, representations } = this.#context;
    if (prefix !== '' && (await services.entries.list(definition.name, { prefix, limit: 1 })).length === 0)
      throw missing(prefix);
    const shown = await representations.fromEntries(
      request,
      resource,
      this.#entriesBelow(prefix),
      `list ${randomUUID()}`,
    );
    return await respond(request, shown);
  }

  async *#entriesBelow(prefix: string): AsyncGenerator<Entry> {
    const { definition, services } = this.#context;
    let after: string | undefined;
    for (;;) {
      const page = await services.entries.list(definition.name, { prefix, after, limit: PAGE });
      yield* page;
      if (page.length < PAGE) return;
      after = page.at(-1)?.key;
    }
  }

  /** Takes an upload, or removes an entry. */
  async change(request: EngineRequest, upload: UploadResource): Promise<EngineReply> {
    const { definition, services, admission } = this.#context;
    if (definition.kind !== 'hosted') {
      throw new EntrepotError('method-not-allowed', `Repository ${definition.name} is a proxy: it takes no uploads`, {
        headers: { Allow: 'GET, HEAD' },
      });
    }
    if (upload.coordinates !== undefined) admission.require('request', upload.coordinates);
    const kept = await services.entries.find(definition.name, upload.key);
    checkConditions(request, kept);
    return upload.action === 'delete' ? await this.#remove(upload, kept) : await this.#receive(request, upload, kept);
  }

  /** One step of an upload in several requests. */
  async step(_request: EngineRequest, session: SessionResource): Promise<EngineReply> {
    throw missing(session.id ?? session.scope);
  }

  async #remove(upload: UploadResource, kept: Entry | undefined): Promise<EngineReply> {
    const { definition, services } = this.#context;
    const removed =
      kept !== undefined && (await services.storage.entries.remove(definition.name, upload.key, kept.digest));
    if (!removed) throw missing(upload.key);
    return this.#reply(upload, 204, {});
  }

  async #receive(request: EngineRequest, upload: UploadResource, kept: Entry | undefined): Promise<EngineReply> {
    if (kept !== undefined && !upload.overwrite) throw exists(upload.key);
    const { services } = this.#context;
    const spool = new Spool(services.storage.spools);
    try {
      const digest = await fill(spool, request, upload);
      const received = await this.#read(upload, spool);
      const entries = await Promise.all(received.map((part) => this.#store(part, digest, spool)));
      await this.#publish(upload, entries);
      const [entry] = entries as [Entry];
      return this.#reply(upload, kept === undefined ? 201 : 200, {
        ETag: `"${entry.digest}"`,
        Location: `${request.baseUrl}${request.rawPath}`,
      });
    } finally {
      await spool.release();
    }
  }

  async #read(upload: UploadResource, spool: Spool): Promise<readonly ReceivedEntry[]> {
    const { protocol, plugin } = this.#context.definition;
    const mediaType = upload.mediaType ?? 'application/octet-stream';
    if (protocol.receive === undefined) return [{ key: upload.key, mediaType, coordinates: upload.coordinates }];
    try {
      await protocol.receive(upload, spool.content(mediaType), undefined as never);
      return [];
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `receive of plugin ${plugin.id} failed`);
    }
  }

  async #store(part: ReceivedEntry, bodyDigest: Digest, spool: Spool): Promise<Entry> {
    const { definition, services } = this.#context;
    const { blobs } = services.storage;
    const { bytes } = part;
    const digest: Digest =
      bytes === undefined ? bodyDigest : `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const size = bytes?.length ?? spool.size;
    const inFile = bytes === undefined && size > 0;
    const open = (): Readable =>
      inFile ? createReadStream(spool.path) : Readable.from(bytes === undefined ? [] : [Buffer.from(bytes)]);
    await blobs.store.put(digest, size, { open, path: inFile ? spool.path : undefined });
    const now = services.clock.now();
    return {
      repository: definition.name,
      key: part.key,
      digest,
      size,
      mediaType: part.mediaType,
      headers: {},
      lastModified: new Date(now).toUTCString(),
      fetchedAt: now,
      checkedAt: now,
      integrity: [],
      coordinates: part.coordinates,
      attributes: part.attributes,
    };
  }

  /** All at once, or none: whoever comes second to a name finds it taken. */
  async #publish(upload: UploadResource, entries: readonly Entry[]): Promise<void> {
    const { storage } = this.#context.services;
    if (upload.overwrite) {
      for (const entry of entries) await storage.entries.replace(entry);
      return;
    }
    const inForce = await storage.entries.putIfAbsent(entries);
    const ours = entries.every(
      (entry, index) => inForce[index]?.digest === entry.digest && inForce[index]?.fetchedAt === entry.fetchedAt,
    );
    if (!ours) throw exists(upload.key);
  }

  #reply(upload: UploadResource, status: number, headers: Record<string, string>): EngineReply {
    return {
      status,
      headers: {
        ...headers,
        ...(status !== 204 && { 'Content-Length': '0' }),
        'Cache-Control': 'no-store',
        'X-Cache': xCache('upload'),
        'Cache-Status': cacheStatus({ name: 'upload' }),
      },
      outcome: outcomeOf(this.#context.definition.name, upload.class, { name: 'upload' }),
    };
  }
}

/** Writes the body of an upload to the spool. @returns its digest. */
async function fill(spool: Spool, request: EngineRequest, upload: UploadResource): Promise<Digest> {
  const hash = createHash('sha256');
  const announced = Number(request.header('content-length') ?? 0);
  if (announced > upload.maxBytes) throw tooLarge(upload);
  try {
    for await (const bytes of request.body as AsyncIterable<Buffer>) {
      if (spool.size + bytes.length > upload.maxBytes) throw tooLarge(upload);
      hash.update(bytes);
      await spool.append(bytes);
      if (!spool.onDisk)
        throw new EntrepotError('storage', 'The disk has no room for this upload', {
          status: 507,
          code: 'STORAGE_FULL',
        });
    }
  } catch (error) {
    throw asEntrepotError(error, 'bad-request', 'The upload broke off; nothing was stored');
  }
  if (request.signal.aborted) throw new EntrepotError('bad-request', 'The upload broke off; nothing was stored');
  return `sha256:${hash.digest('hex')}`;
}

/** `If-Match` and `If-None-Match` of a change (RFC 9110 §13.1.1, §13.1.2). */
function checkConditions(request: EngineRequest, kept: Entry | undefined): void {
  const match = request.header('if-match');
  const noMatch = request.header('if-none-match');
  const matches = (header: string): boolean => kept !== undefined && noneMatch(header, `"${kept.digest}"`);
  if ((match !== undefined && !matches(match)) || (noMatch !== undefined && matches(noMatch))) {
    throw new EntrepotError(
      'precondition-failed',
      'The file is not in the state that If-Match or If-None-Match asks for',
    );
  }
}

function missing(key: string): EntrepotError {
  return new EntrepotError('not-found', `${key} does not exist`);
}

function exists(key: string): EntrepotError {
  return new EntrepotError('conflict', `${key} exists already, and this repository does not overwrite`);
}

function tooLarge(upload: UploadResource): EntrepotError {
  return new EntrepotError(
    'too-large',
    `${upload.filename} has more than the ${upload.maxBytes} bytes that this repository takes`,
  );
}
