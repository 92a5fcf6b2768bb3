import { anonymousAccess } from '@entrepot/core';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import {
  allowAll,
  DEFAULT_FRESHNESS,
  parseSri,
  type ArtifactDescription,
  type FreshnessRule,
  type PolicyEngine,
  type RequestHead,
  type ScanDesk,
  silentLogger,
} from '../../src/index.js';
import { type ArtifactResource, type DocumentResource, type BoundResource } from '../../src/engine/request/resource.js';
import { type EngineProtocol, type EnginePlugin } from '../../src/engine/request/protocol.js';
import {
  createRepository,
  createSharedStorage,
  DEFAULT_LIMITS,
  type EngineObserver,
  type EngineReply,
  type RepositoryDefinition,
  type RepositoryEngine,
  type SharedStorage,
} from '../../src/engine/index.js';
import {
  FakeUpstream,
  ManualClock,
  MemoryBlobStore,
  MemoryEntryIndex,
  MemoryHotCache,
  NodeTransport,
} from '../../src/testing/index.js';
import { enginePlugin } from './engine-plugin.js';

const anyOptions = { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value }) } };

/**
 * A protocol that is as small as its format: `/files/*` are artifacts, `/described/*` artifacts that `/index.json` promises
 * (lines `path sri [location]`), `/raw/*` documents as received, `/text/*` documents rewritten to upper case.
 */
export const testProtocol: EngineProtocol = {
  route({ method, segments, query }: RequestHead): BoundResource | undefined {
    const [kind, ...rest] = segments;
    const path = segments.join('/');
    const filename = rest.join('/');
    if (method === 'PUT' || method === 'DELETE') {
      const action = method === 'PUT' ? 'put' : 'delete';
      return {
        kind: 'upload',
        action,
        key: path,
        class: 'artifact',
        filename,
        overwrite: query.has('overwrite'),
        maxBytes: 1_000_000,
      };
    }
    switch (kind) {
      case 'files':
        return {
          kind: 'artifact',
          key: path,
          class: 'artifact',
          upstreamPath: path,
          filename,
          coordinates: { ecosystem: 'test', name: filename },
        };
      case 'described':
        return {
          kind: 'artifact',
          key: path,
          class: 'artifact',
          upstreamPath: path,
          filename,
          describedBy: index,
          coordinates: { ecosystem: 'test', name: filename },
        };
      case 'raw':
        return { kind: 'document', key: path, class: 'document', upstreamPath: path };
      case 'text':
        return {
          kind: 'document',
          key: path,
          class: 'document',
          upstreamPath: path,
          rewritten: true,
          mediaType: 'text/plain',
          expectedMediaTypes: ['text/plain'],
        };
      case 'list':
        return {
          kind: 'document',
          key: path,
          class: 'document',
          upstreamPath: path,
          fromEntries: { prefix: filename },
          mediaType: 'text/plain',
        };
      case 'search':
        return { kind: 'passthrough', method: 'GET', name: 'search', upstreamPath: path };
      case 'audit':
        return {
          kind: 'passthrough',
          method: 'POST',
          name: 'audit',
          upstreamPath: path,
          adapted: true,
          shareFor: 60_000,
        };
      case 'ping':
        return { kind: 'local', status: 200, body: 'pong' };
      default:
        return undefined;
    }
  },
  async describe(document, content) {
    const found = new Map<string, ArtifactDescription>();
    if (document.key !== 'index.json') return found;
    for (const line of Buffer.from(await content.bytes(1_000_000))
      .toString()
      .split('\n')
      .filter(Boolean)) {
      const [path = '', sri = '', location] = line.split(' ');
      const coordinates = { ecosystem: 'test', name: path, version: `of ${path.split('/').at(-1)}` };
      found.set(path, { integrity: parseSri(sri), location, coordinates });
    }
    return found;
  },
  async *rewrite(_document, content, { baseUrl }) {
    for await (const part of content.stream()) yield Buffer.from(part).toString().toUpperCase();
    yield `\n${baseUrl}`;
  },
  async *render(_document, entries) {
    for await (const { key, size } of entries) yield `${key} ${size}\n`;
  },
  adaptRequest: (_resource, body) => ({
    method: 'POST',
    upstreamPath: 'audit',
    mediaType: 'text/plain',
    body: Buffer.from(body).reverse(),
  }),
  adaptReply: (_resource, reply) => ({
    status: reply.status,
    mediaType: 'text/plain',
    body: `adapted ${Buffer.from(reply.body).toString()}`,
  }),
};

const index: DocumentResource = { kind: 'document', key: 'index.json', class: 'document', upstreamPath: 'index.json' };

export interface HarnessOptions {
  readonly kind?: 'proxy' | 'hosted';
  readonly protocol?: EngineProtocol;
  readonly artifact?: Partial<FreshnessRule>;
  readonly document?: Partial<FreshnessRule>;
  readonly policy?: PolicyEngine;
  readonly maxSpoolBytes?: number;
  readonly verifyFirstRead?: boolean;
  /** Stores of another harness: this one is a replica of it. */
  readonly shared?: Pick<Harness, 'blobs' | 'entries'>;
  readonly definition?: Partial<RepositoryDefinition>;
  /** The folder of another harness: this one is its server after a crash. */
  readonly directory?: string;
  readonly observer?: EngineObserver;
  readonly scanDesk?: ScanDesk;
}

/** A repository over a fake upstream and memory stores. */
export interface Harness {
  readonly upstream: FakeUpstream;
  readonly repository: RepositoryEngine;
  readonly clock: ManualClock;
  readonly blobs: MemoryBlobStore;
  readonly entries: MemoryEntryIndex;
  readonly storage: SharedStorage;
  readonly directory: string;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  ask(
    method: string,
    path: string,
    headers?: Record<string, string>,
    body?: string | Buffer | Readable,
  ): Promise<Answer>;
  /** Settles when no fetch is running: verified bytes go out before they are kept. */
  landed(): Promise<void>;
}

/** A reply, with a way to read its body. */
export interface Answer extends EngineReply {
  /** The whole body. Rejects when it breaks off. */
  bytes(): Promise<Buffer>;
  text(): Promise<string>;
}

/** Opens a repository for one test. */
export async function openHarness(options: HarnessOptions = {}): Promise<Harness> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'entrepot-engine-')));
  const upstream = await FakeUpstream.start();
  const clock = new ManualClock();
  const { blobs, entries } = options.shared ?? { blobs: new MemoryBlobStore(), entries: new MemoryEntryIndex() };
  const transport = new NodeTransport();
  const storage = await createSharedStorage({
    blobs,
    entries,
    clock,
    logger: silentLogger,
    spoolPath: directory,
    maxSpoolBytes: options.maxSpoolBytes ?? 1e9,
    maxMemoryBytes: 64e6,
    maxEntries: 1000,
    verifyFirstRead: options.verifyFirstRead,
  });
  const protocol = options.protocol ?? testProtocol;
  const plugin: EnginePlugin = enginePlugin({
    id: 'test',
    kinds: ['proxy', 'hosted'],
    options: anyOptions,
    inject: {},
    classes: {
      artifact: {
        kind: 'artifact',
        description: 'a file',
        cacheControl: 'public, immutable',
        keepHeaders: ['content-disposition'],
      },
      document: { kind: 'document', description: 'a page' },
    },
    create: () => protocol,
  });
  const repository = createRepository(
    {
      name: 'test',
      kind: options.kind ?? 'proxy',
      plugin,
      protocol,
      upstreams: options.kind === 'hosted' ? [] : [{ url: upstream.url }],
      freshness: {
        // No real time decides what a test sees.
        artifact: { ...DEFAULT_FRESHNESS.artifact, staleAfter: Infinity, ...options.artifact },
        document: { ...DEFAULT_FRESHNESS.document, staleAfter: Infinity, ...options.document },
      },
      coldRange: 'auto',
      requireIntegrity: false,
      allowPrivateHosts: [],
      userAgent: 'entrepot-test',
      limits: DEFAULT_LIMITS,
      access: anonymousAccess(['read', 'write']),
      trustedRealms: [],
      ...options.definition,
    },
    {
      blobs,
      entries,
      hotCache: new MemoryHotCache(clock),
      transport,
      policy: options.policy ?? allowAll,
      clock,
      logger: silentLogger,
      storage,
      observer: options.observer,
      scanDesk: options.scanDesk,
    },
  );
  const bodies: Readable[] = [];
  onTestFinished(async () => {
    // A body that a test does not read holds its file open.
    for (const body of bodies) body.destroy();
    await repository.dispose(0);
    await upstream.close();
    await transport.dispose();
    await storage.dispose();
    await rm(directory, { recursive: true, force: true });
  });
  async function ask(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body: string | Buffer | Readable = '',
  ): Promise<Answer> {
    const [rawPath = '', rawQuery = ''] = path.split('?');
    const reply = await repository.handle({
      method,
      rawPath,
      rawQuery,
      header: (name) => headers[name],
      body: body instanceof Readable ? body : Readable.from([Buffer.from(body)]),
      baseUrl: 'https://packages.example.com/test',
      signal: new AbortController().signal,
    });
    if (reply.body instanceof Readable) bodies.push(reply.body.on('error', () => {}));
    const bytes = (): Promise<Buffer> => readAll(reply.body);
    return { ...reply, bytes, text: async () => (await bytes()).toString() };
  }
  return {
    upstream,
    repository,
    clock,
    blobs,
    entries,
    storage,
    directory,
    ask,
    get: (path, headers) => ask('GET', path, headers),
    async landed() {
      while (repository.flights() > 0) await new Promise(setImmediate);
    },
  };
}

/** Reads a body to its end. */
export async function readAll(body: Buffer | Readable | undefined): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (Buffer.isBuffer(body)) return body;
  const parts: Buffer[] = [];
  for await (const part of body as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** The SRI of `bytes`. */
export function sri(bytes: Buffer | string, algorithm = 'sha512'): string {
  return `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`;
}

/** Bytes that differ at every place. */
export function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  return bytes;
}

export type { ArtifactResource };
