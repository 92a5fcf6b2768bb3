import { anonymousAccess } from '@entrepot/core';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import {
  allowAll,
  API_VERSION,
  artifactClass,
  changeClass,
  DEFAULT_FRESHNESS,
  documentClass,
  listingClass,
  parseSri,
  passthroughClass,
  silentLogger,
  type AnyDeclaredPlugin,
  type ArtifactDescription,
  type Content,
  type DocumentClass,
  type HotCache,
  type Entry,
  type FreshnessRule,
  type Parsed,
  type PolicyEngine,
  type RenderRequest,
  type RequestHead,
  type Resource,
  type Route,
  type ScanDesk,
} from '../../src/index.js';
import {
  cacheClassesOf,
  createRepository,
  createSharedStorage,
  DEFAULT_LIMITS,
  Protocol,
  type AnySide,
  type EngineObserver,
  type EngineReply,
  type EngineServices,
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

const anyOptions = { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value }) } };

/** A side of a format for tests: its classes, and `route` without an instance. */
export interface TestSide extends Omit<AnySide, 'create' | 'ownOptions'> {
  route(head: RequestHead): Route | undefined;
}

const asReceived = { cacheControl: 'public, immutable', keepHeaders: ['content-disposition'] };

/** The classes of the test format. */
export const testClasses = {
  file: artifactClass({ about: 'a file', reply: asReceived }),
  described: artifactClass({
    about: 'a file that the index lists',
    reply: asReceived,
    trust: { describedBy: () => INDEX },
  }),
  index: documentClass({ about: 'the index', parse: parseIndex }),
  raw: documentClass({ about: 'a page as received' }),
  text: documentClass({
    about: 'a page in upper case',
    upstream: { expects: ['text/plain'] },
    reply: {
      mediaType: 'text/plain',
      async *render(_document: Parsed, { content, baseUrl }: RenderRequest) {
        for await (const part of content.stream()) yield Buffer.from(part).toString().toUpperCase();
        yield `\n${baseUrl}`;
      },
    },
  }),
  list: listingClass({
    about: 'a list of entries',
    reply: { mediaType: 'text/plain' },
    entries: ({ key }) => ({ prefix: key.slice('list/'.length) }),
    async *render(_resource: Resource, entries: AsyncIterable<Entry>) {
      for await (const { key, size } of entries) yield `${key} ${size}\n`;
    },
  }),
  search: passthroughClass({ about: 'a search', method: 'GET' }),
  audit: passthroughClass({
    about: 'an audit',
    method: 'POST',
    shareFor: 60_000,
    adapt: {
      request: (_resource, body) => ({
        method: 'POST',
        upstreamPath: 'audit',
        mediaType: 'text/plain',
        body: Buffer.from(body).reverse(),
      }),
      reply: (_resource, reply) => ({
        status: reply.status,
        mediaType: 'text/plain',
        body: `adapted ${Buffer.from(reply.body).toString()}`,
      }),
    },
  }),
  put: changeClass({ about: 'an upload', action: 'put', bounds: { of: 'file', maxBytes: 1_000_000 } }),
  replace: changeClass({
    about: 'an upload that replaces',
    action: 'put',
    bounds: { of: 'file', maxBytes: 1_000_000, overwrite: true },
  }),
  delete: changeClass({ about: 'a removal', action: 'delete', bounds: { of: 'file', maxBytes: 1_000_000 } }),
};

/** The index of the test format. */
export const INDEX: Resource = { class: 'index', key: 'index.json', path: 'index.json' };

/** Reads lines `path sri [location]`. */
async function parseIndex(content: Content): Promise<Parsed> {
  const found = new Map<string, ArtifactDescription>();
  for (const line of Buffer.from(await content.bytes(1_000_000))
    .toString()
    .split('\n')
    .filter(Boolean)) {
    const [path = '', sri = '', location] = line.split(' ');
    const coordinates = { ecosystem: 'test', name: path, version: `of ${path.split('/').at(-1)}` };
    found.set(path, { integrity: parseSri(sri), location, coordinates });
  }
  return parsedOf(found);
}

/** A parsed document with these descriptions. */
export function parsedOf(found: ReadonlyMap<string, ArtifactDescription>): Parsed {
  return { weight: found.size * 500, describe: (key) => found.get(key), descriptions: () => found };
}

/**
 * A format that is as small as it can be: `/files/*` are artifacts, `/described/*` artifacts that `/index.json` promises, `/raw/*`
 * documents as received, `/text/*` documents rendered to upper case.
 */
export const testSide: TestSide = {
  classes: testClasses as unknown as TestSide['classes'],
  route({ method, segments, query }) {
    const [first = '', ...rest] = segments;
    const key = segments.join('/');
    if (method === 'PUT') return { class: query.has('overwrite') ? 'replace' : 'put', key };
    if (method === 'DELETE') return { class: 'delete', key };
    const coordinates = { ecosystem: 'test', name: rest.join('/') };
    switch (first) {
      case 'files':
        return { class: 'file', key, path: key, coordinates };
      case 'described':
        return { class: 'described', key, path: key, coordinates };
      case 'raw':
      case 'text':
      case 'list':
        return { class: first, key, path: key };
      case 'search':
      case 'audit':
        return { class: first, key: first, path: key };
      case 'ping':
        return { status: 200, body: 'pong' };
      default:
        return undefined;
    }
  },
};

/** The test format whose resources say in `attributes.onlyKept` whether the request has the header `only-kept`. */
export const markingOnlyKept: TestSide = {
  ...testSide,
  route(head) {
    const route = testSide.route(head);
    return route !== undefined && 'class' in route && head.header('only-kept') !== undefined
      ? { ...route, attributes: { onlyKept: true } }
      : route;
  },
};

/** The test format with other classes, by name. */
export function withClasses(classes: Readonly<Record<string, object>>, more: Partial<TestSide> = {}): TestSide {
  return { ...testSide, ...more, classes: { ...testClasses, ...classes } as unknown as TestSide['classes'] };
}

type Groups = Partial<Omit<DocumentClass, 'kind' | 'about'>>;

/** A format with facts and hooks added to its artifacts and documents, or to those classes alone that are named. */
export function withFacts({ parse, ...groups }: Groups, names?: readonly string[], side = testSide): TestSide {
  const changed = Object.entries(side.classes).map(([name, declared]) => {
    const isMeant = names?.includes(name) ?? (declared.kind === 'artifact' || declared.kind === 'document');
    if (!isMeant) return [name, declared];
    const own = declared as Groups;
    const merged = Object.entries(groups).map(([group, facts]) => [
      group,
      { ...own[group as keyof typeof groups], ...facts },
    ]);
    return [name, { ...declared, ...Object.fromEntries(merged), ...(parse !== undefined && { parse }) }];
  });
  return { ...side, classes: Object.fromEntries(changed) as TestSide['classes'] };
}

export interface HarnessOptions {
  readonly kind?: 'proxy' | 'hosted';
  readonly side?: TestSide;
  readonly artifact?: Partial<FreshnessRule>;
  readonly document?: Partial<FreshnessRule>;
  readonly policy?: PolicyEngine;
  readonly maxSpoolBytes?: number;
  readonly verifyFirstRead?: boolean;
  readonly redirect?: { readonly minSize: number; readonly expires: number };
  /** Stores of another harness: this one is a replica of it. */
  readonly shared?: Pick<Harness, 'blobs' | 'entries'>;
  readonly definition?: Partial<RepositoryDefinition>;
  /** The folder of another harness: this one is its server after a crash. */
  readonly directory?: string;
  readonly observer?: EngineObserver;
  readonly scanDesk?: ScanDesk;
  readonly hotCache?: HotCache;
  readonly firstSeen?: EngineServices['firstSeen'];
  readonly cluster?: EngineServices['cluster'];
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
    redirect: options.redirect,
  });
  const { route, ...declared } = options.side ?? testSide;
  const instance = { route };
  const kind = options.kind ?? 'proxy';
  const side: AnySide = { ...declared, create: () => instance };
  const plugin: AnyDeclaredPlugin = {
    kind: 'protocol',
    apiVersion: API_VERSION,
    id: 'test',
    options: anyOptions,
    inject: {},
    [kind]: side,
  };
  const repository = createRepository(
    {
      name: 'test',
      kind,
      plugin,
      protocol: new Protocol(plugin, side, instance),
      upstreams: kind === 'hosted' ? [] : [{ url: upstream.url }],
      freshness: Object.fromEntries(
        Object.entries(cacheClassesOf(plugin)).map(([name, { kind, freshness }]) => [
          name,
          // No real time decides what a test sees.
          { ...DEFAULT_FRESHNESS[kind], staleAfter: Infinity, ...freshness, ...options[kind] },
        ]),
      ),
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
      hotCache: options.hotCache ?? new MemoryHotCache(clock),
      transport,
      policy: options.policy ?? allowAll,
      clock,
      logger: silentLogger,
      storage,
      observer: options.observer,
      scanDesk: options.scanDesk,
      firstSeen: options.firstSeen,
      cluster: options.cluster,
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
