import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { allowAll, DEFAULT_FRESHNESS, silentLogger } from '@entrepot/core';
import type { FreshnessRule } from '@entrepot/core';
import { createRepository, createSharedStorage, DEFAULT_LIMITS } from '@entrepot/core/engine';
import type { RepositoryDefinition } from '@entrepot/core/engine';
import { ManualClock, MemoryBlobStore, MemoryEntryIndex, MemoryHotCache, NodeTransport } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { protocolOf } from './fixtures.js';

/** A reply, read to its end. `error`: its body broke off. */
export interface ReadReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly outcome: string;
  readonly error?: unknown;
}

/** A files repository in the real pipeline, on memory stores. Requests are over when what they fetched is stored. */
export interface TestRepository {
  readonly clock: ManualClock;
  ask(method: string, target: string, headers?: Record<string, string>, body?: string): Promise<ReadReply>;
  get(target: string, headers?: Record<string, string>): Promise<ReadReply>;
  dispose(): Promise<void>;
}

/** Starts a repository. The caller disposes it. */
export async function startRepository(
  written: Record<string, unknown>,
  { kind = 'proxy', upstream }: { readonly kind?: 'proxy' | 'hosted'; readonly upstream?: string } = {},
): Promise<TestRepository> {
  const spoolPath = await mkdtemp(join(tmpdir(), 'entrepot-files-'));
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
  for (const [name, { kind: of, freshness: rule }] of Object.entries(plugin.classes)) {
    freshness[name] = { ...DEFAULT_FRESHNESS[of], ...rule };
  }
  const definition: RepositoryDefinition = {
    name: 'files',
    kind,
    plugin: plugin as RepositoryDefinition['plugin'],
    protocol: await protocolOf(written, kind),
    upstreams: upstream === undefined ? [] : [{ url: upstream }],
    freshness,
    coldRange: 'auto',
    requireIntegrity: false,
    allowPrivateHosts: [],
    userAgent: 'entrepot-test',
    limits: DEFAULT_LIMITS,
    acceptsUploads: true,
  };
  const services = {
    blobs,
    entries,
    hotCache: new MemoryHotCache(clock),
    transport,
    policy: allowAll,
    clock,
    logger: silentLogger,
    storage,
  };
  const engine = createRepository(definition, services);

  async function ask(
    method: string,
    target: string,
    headers: Record<string, string> = {},
    body = '',
  ): Promise<ReadReply> {
    const [rawPath = '/', rawQuery = ''] = target.split('?', 2);
    const reply = await engine.handle({
      method,
      rawPath,
      rawQuery,
      header: (name) => headers[name],
      body: Readable.from([Buffer.from(body)]),
      baseUrl: 'http://127.0.0.1:8080/files',
      signal: new AbortController().signal,
    });
    const head = { status: reply.status, headers: lowerCased(reply.headers), outcome: reply.outcome.name };
    if (reply.body === undefined) return { ...head, body: '' };
    try {
      const bytes = Buffer.isBuffer(reply.body) ? reply.body : await buffer(reply.body);
      return { ...head, body: bytes.toString('utf8') };
    } catch (error) {
      return { ...head, body: '', error };
    } finally {
      // A body is complete for its client a moment before it is stored.
      while (engine.flights() > 0) await setImmediate();
    }
  }

  return {
    clock,
    ask,
    get: (target, headers) => ask('GET', target, headers),
    async dispose() {
      await engine.dispose(1000);
      await transport.dispose();
      await storage.dispose();
      await rm(spoolPath, { recursive: true, force: true });
    },
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
