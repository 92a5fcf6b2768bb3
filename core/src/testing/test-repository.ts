import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { anonymousAccess } from '../api/access.js';
import { DEFAULT_FRESHNESS, type FreshnessRule } from '../api/freshness.js';
import { silentLogger } from '../api/logger.js';
import { optionsOfOtherKind, parseOptions } from '../api/options.js';
import type { OutcomeName } from '../api/outcome.js';
import { allowAll, type PolicyEngine } from '../api/policy.js';
import type { RepositoryFacts } from '../api/protocol.js';
import { cacheClassesOf, Protocol, sideOf } from '../engine/request/protocol.js';
import type { AnyDeclaredPlugin, ProtocolInstance } from '../plugin/protocol.js';
import type { Transport } from '../api/transport.js';
import { createRepository } from '../engine/handle-request.js';
import {
  DEFAULT_LIMITS,
  type EngineServices,
  type RepositoryDefinition,
  type RepositoryEngine,
} from '../engine/store/repository.js';
import { createSharedStorage } from '../engine/store/shared-storage.js';
import { FakeUpstream } from './fake-upstream.js';
import { ManualClock } from './manual-clock.js';
import { MemoryBlobStore } from './memory-blob-store.js';
import { MemoryEntryIndex } from './memory-entry-index.js';
import { MemoryHotCache } from './memory-hot-cache.js';
import { NodeTransport } from './node-transport.js';

/** Settings of a test repository. */
export interface TestRepositoryOptions {
  readonly plugin: AnyDeclaredPlugin;
  /** The options as they stand in a configuration. Default: none. */
  readonly options?: unknown;
  /** Services for `inject` besides the logger, the clock and the transport, by the plugin's names for them. */
  readonly services?: Readonly<Record<string, unknown>>;
  /** Default: everything is allowed. */
  readonly policy?: PolicyEngine;
  /** Default: nothing is known of when something was first seen, but when it was stored. */
  readonly firstSeen?: EngineServices['firstSeen'];
  /** Replaces what `create` of the plugin makes. */
  readonly instance?: (made: ProtocolInstance) => ProtocolInstance;
  /** The scope of the upstream of a proxy. Default: it is for everything. */
  readonly scope?: string | undefined;
  /** Overrides of the repository's defaults. */
  readonly definition?: Partial<RepositoryDefinition>;
  /** The bound on uploads and flights on disk, in bytes. Default: 1 GiB. */
  readonly maxSpoolBytes?: number;
  /** The stores of another one: this is a replica of it, or the same after a restart. */
  readonly stores?: Pick<TestRepository, 'blobs' | 'entries'> | undefined;
}

/** A request, as a client sends it. */
export interface TestRequest {
  /** Default: GET. */
  readonly method?: string;
  /** Below the mount, as it is sent: not decoded, with its query; begins with `/`. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The shared mount that it comes in by. Default: the repository's own. */
  readonly mount?: string;
  /** The connection breaks after so many bytes of the body. */
  readonly breaksAfter?: number;
  /** Runs when the body has begun to be read; its end comes afterwards. */
  readonly during?: () => Promise<void>;
}

/** A reply that was read to its end. */
export interface TestReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes that came; not all of them when `error` is there. */
  readonly body: Buffer;
  /** Why the body broke off: its client sees a connection that ends. */
  readonly error?: unknown;
  readonly outcome: OutcomeName;
}

/** One repository of a plugin in the real pipeline, over memory stores, a manual clock and a fake upstream. */
export interface TestRepository {
  readonly upstream: FakeUpstream;
  /** The upstream's base URL. It has a path of its own, so that requests that leave it show. */
  readonly upstreamUrl: string;
  /** The URL of the repository as its clients reach it. */
  readonly baseUrl: string;
  readonly clock: ManualClock;
  readonly blobs: MemoryBlobStore;
  readonly entries: MemoryEntryIndex;
  readonly protocol: Protocol;
  readonly engine: RepositoryEngine;
  /** Sends a request and reads the reply; resolves when what it made the pipeline fetch is stored. */
  ask(request: TestRequest | string): Promise<TestReply>;
  /** Closes the repository, and then everything under it. Idempotent. */
  close(): Promise<void>;
}

/** The path of the upstream's base URL. */
export const UPSTREAM_PATH = '/upstream/base';
const BASE_URL = 'https://packages.example.com/mount';
const NAME = 'test';
const MEBIBYTE = 1024 ** 2;

/** Opens a repository for one test. The caller closes it. */
export async function openTestRepository(given: TestRepositoryOptions): Promise<TestRepository> {
  const { definition, plugin } = given;
  const upstream = await FakeUpstream.start();
  const spoolPath = await mkdtemp(join(tmpdir(), 'entrepot-test-'));
  const upstreamUrl = upstream.url + UPSTREAM_PATH;
  const clock = new ManualClock();
  const { blobs, entries } = given.stores ?? { blobs: new MemoryBlobStore(), entries: new MemoryEntryIndex() };
  const transport = new NodeTransport();
  const logger = silentLogger;
  const storage = await createSharedStorage({
    blobs,
    entries,
    clock,
    logger,
    spoolPath,
    maxSpoolBytes: given.maxSpoolBytes ?? 1024 * MEBIBYTE,
    maxMemoryBytes: 64 * MEBIBYTE,
    maxEntries: 10_000,
  });
  const kind = definition?.kind ?? 'proxy';
  const upstreams = definition?.upstreams ?? (kind === 'proxy' ? [{ url: upstreamUrl, scope: given.scope }] : []);
  const protocol = await createProtocol(given, { name: NAME, kind, upstreams }, clock, transport);
  const engine = createRepository(
    {
      name: NAME,
      kind,
      plugin,
      protocol,
      upstreams,
      freshness: freshnessOf(plugin),
      coldRange: 'auto',
      requireIntegrity: false,
      allowPrivateHosts: [],
      userAgent: 'entrepot-test',
      limits: DEFAULT_LIMITS,
      access: anonymousAccess(kind === 'hosted' ? ['read', 'write'] : ['read']),
      trustedRealms: [],
      ...definition,
    },
    {
      blobs,
      entries,
      hotCache: new MemoryHotCache(clock),
      transport,
      policy: given.policy ?? allowAll,
      clock,
      logger,
      storage,
      firstSeen: given.firstSeen,
    },
  );
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    // Its connections first: what is in flight has nothing to wait for any more.
    await upstream.close();
    await engine.dispose(0);
    await transport.dispose();
    await storage.dispose();
    await rm(spoolPath, { recursive: true, force: true });
  };
  return {
    upstream,
    upstreamUrl,
    baseUrl: BASE_URL,
    clock,
    blobs,
    entries,
    protocol,
    engine,
    ask: (request) => ask(engine, typeof request === 'string' ? { path: request } : request),
    close: () => (closed ??= close()),
  };
}

/** Makes the protocol as the host does: options parsed, exactly the services that were named. */
export async function createProtocol(
  { plugin, options = {}, services = {}, instance }: TestRepositoryOptions,
  repository: RepositoryFacts = {
    name: NAME,
    kind: 'proxy',
    upstreams: [{ url: 'https://upstream.example.com/base' }],
  },
  clock: ManualClock = new ManualClock(),
  transport: Transport = new NodeTransport(),
): Promise<Protocol> {
  const side = sideOf(plugin, repository.kind);
  if (side === undefined) throw new Error(`plugin ${plugin.id} has no ${repository.kind} repositories`);
  const parsed = await parseOptions<unknown>(plugin.options, options);
  const others = sideOf(plugin, repository.kind === 'proxy' ? 'hosted' : 'proxy')?.ownOptions;
  const found = [...(parsed.problems ?? []), ...optionsOfOtherKind(others, repository.kind, options)];
  if (found.length > 0) {
    const problems = found.map(({ path, message }) => `${path}: ${message}`);
    throw new Error(`the options of plugin ${plugin.id} are refused: ${problems.join('; ')}`);
  }
  const own: Readonly<Record<string, unknown>> = { logger: silentLogger, clock, transport };
  const injected: Record<string, unknown> = {};
  for (const [name, token] of Object.entries(plugin.inject as Readonly<Record<string, { readonly id: string }>>)) {
    injected[name] = services[name] ?? own[token.id];
    if (injected[name] === undefined) {
      throw new Error(`plugin ${plugin.id} injects "${token.id}" as ${name}: give it in "services"`);
    }
  }
  const made = await side.create({ services: injected, options: parsed.options, repository });
  return new Protocol(plugin, side, instance?.(made) ?? made);
}

/** The rules of a plugin's classes, without any configuration. */
export function freshnessOf(plugin: AnyDeclaredPlugin): Readonly<Record<string, FreshnessRule>> {
  return Object.fromEntries(
    Object.entries(cacheClassesOf(plugin)).map(([name, { kind, freshness }]) => [
      name,
      // No real time decides what a test sees.
      Object.assign({}, DEFAULT_FRESHNESS[kind], { staleAfter: Infinity }, freshness),
    ]),
  );
}

async function ask(
  engine: RepositoryEngine,
  { method = 'GET', path, headers = {}, body = '', breaksAfter, during, mount }: TestRequest,
): Promise<TestReply> {
  const split = path.indexOf('?');
  const reply = await engine.handle({
    method,
    rawPath: split < 0 ? path : path.slice(0, split),
    rawQuery: split < 0 ? '' : path.slice(split + 1),
    header: (name) => headers[name],
    body: Readable.from(bodyOf(Buffer.from(body), breaksAfter, during), { objectMode: false }),
    baseUrl: BASE_URL,
    mount,
    signal: new AbortController().signal,
  });
  const received = await receive(reply.body);
  // A body is complete for its client a moment before it is stored.
  while (engine.flights() > 0) await turn();
  const lowerCase = Object.entries(reply.headers).map(([name, value]) => [name.toLowerCase(), value]);
  const outcome = reply.outcome.name;
  return {
    status: reply.status,
    headers: Object.fromEntries(lowerCase) as Record<string, string>,
    outcome,
    ...received,
  };
}

async function* bodyOf(
  body: Buffer,
  breaksAfter: number | undefined,
  during: TestRequest['during'],
): AsyncGenerator<Buffer> {
  yield body.subarray(0, breaksAfter);
  await during?.();
  if (breaksAfter !== undefined) throw new Error('socket hang up');
}

async function receive(
  body: Buffer | Readable | undefined,
): Promise<{ readonly body: Buffer; readonly error?: unknown }> {
  if (body === undefined) return { body: Buffer.alloc(0) };
  if (Buffer.isBuffer(body)) return { body };
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body) chunks.push(chunk as Buffer);
    return { body: Buffer.concat(chunks) };
  } catch (error) {
    return { body: Buffer.concat(chunks), error };
  }
}
