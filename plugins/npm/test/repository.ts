import { anonymousAccess } from '@entrepot/core';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import {
  allowAll,
  DEFAULT_FRESHNESS,
  silentLogger,
  type FreshnessRule,
  type PolicyEngine,
  type Upstream,
} from '@entrepot/core';
import {
  cacheClassesOf,
  createRepository,
  createSharedStorage,
  DEFAULT_LIMITS,
  type RepositoryDefinition,
} from '@entrepot/core/engine';
import {
  createProtocol,
  ManualClock,
  MemoryBlobStore,
  MemoryEntryIndex,
  MemoryHotCache,
  NodeTransport,
} from '@entrepot/core/testing';
import plugin from '../src/index.js';

/** Where clients of the test find the repository. */
export const BASE_URL = 'http://127.0.0.1:8080/npm';

/** A reply, read to its end, its content coding undone. `error`: its body broke off. */
export interface ReadReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly outcome: string;
  readonly error?: unknown;
}

/** An npm repository in the real pipeline, on memory stores. A request is over when what it fetched is stored. */
export interface TestRepository {
  readonly clock: ManualClock;
  get(target: string, headers?: Record<string, string>): Promise<ReadReply>;
  ask(method: string, target: string, headers?: Record<string, string>, body?: Buffer): Promise<ReadReply>;
  dispose(): Promise<void>;
}

/** Starts a repository. The caller disposes it. */
export async function startRepository(
  upstreams: readonly Upstream[],
  policy: PolicyEngine = allowAll,
): Promise<TestRepository> {
  const spoolPath = await mkdtemp(join(tmpdir(), 'entrepot-npm-'));
  const clock = new ManualClock();
  const blobs = new MemoryBlobStore();
  const entries = new MemoryEntryIndex();
  const transport = new NodeTransport();
  const storage = await createSharedStorage({
    blobs,
    entries,
    clock,
    logger: silentLogger,
    spoolPath,
    maxSpoolBytes: 64 * 1024 ** 2,
    maxMemoryBytes: 16 * 1024 ** 2,
    maxEntries: 1000,
  });
  const freshness: Record<string, FreshnessRule> = {};
  for (const [name, { kind, freshness: rule }] of Object.entries(cacheClassesOf(plugin))) {
    freshness[name] = { ...DEFAULT_FRESHNESS[kind], ...rule };
  }
  const repository = { name: 'npm', kind: 'proxy' as const, upstreams };
  const definition: RepositoryDefinition = {
    ...repository,
    plugin,
    protocol: await createProtocol({ plugin, options: { audit: 'forward' } }, repository),
    freshness,
    coldRange: 'auto',
    requireIntegrity: false,
    allowPrivateHosts: [],
    userAgent: 'entrepot-test',
    limits: DEFAULT_LIMITS,
    access: anonymousAccess(['read']),
    trustedRealms: [],
  };
  const hotCache = new MemoryHotCache(clock);
  const services = { blobs, entries, hotCache, transport, policy, clock, logger: silentLogger, storage };
  const engine = createRepository(definition, services);

  async function ask(
    method: string,
    target: string,
    headers: Record<string, string> = {},
    body: Buffer = Buffer.alloc(0),
  ): Promise<ReadReply> {
    const [rawPath = '/', rawQuery = ''] = target.split('?', 2);
    const reply = await engine.handle({
      method,
      rawPath,
      rawQuery,
      header: (name) => headers[name],
      body: Readable.from([body]),
      baseUrl: BASE_URL,
      signal: new AbortController().signal,
    });
    const named = Object.entries(reply.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
    const head = { status: reply.status, headers: Object.fromEntries(named), outcome: reply.outcome.name };
    try {
      const sent = reply.body === undefined || Buffer.isBuffer(reply.body) ? reply.body : await buffer(reply.body);
      const bytes = sent ?? Buffer.alloc(0);
      const decoded = head.headers['content-encoding'] === 'gzip' && bytes.length > 0 ? gunzipSync(bytes) : bytes;
      return { ...head, body: decoded.toString('utf8') };
    } catch (error) {
      return { ...head, body: '', error };
    } finally {
      // A body is complete for its client a moment before it is stored.
      while (engine.flights() > 0) await setImmediate();
    }
  }

  return {
    clock,
    get: (target, headers) => ask('GET', target, headers),
    ask,
    async dispose() {
      await engine.dispose(1000);
      await transport.dispose();
      await storage.dispose();
      await rm(spoolPath, { recursive: true, force: true });
    },
  };
}
