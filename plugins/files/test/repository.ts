import { anonymousAccess } from '@entrepot/core';
import { openTestRepository } from '@entrepot/core/testing';
import type { FakeUpstream, ManualClock, TestRepository as KitRepository } from '@entrepot/core/testing';
import plugin from '../src/index.js';

/** A reply, read to its end. `error`: its body broke off. */
export interface ReadReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly outcome: string;
  readonly error?: unknown;
}

/** A files repository in the real pipeline, on memory stores. */
export interface TestRepository {
  readonly upstream: FakeUpstream;
  /** The path of the upstream's base URL. */
  readonly base: string;
  readonly clock: ManualClock;
  ask(method: string, target: string, headers?: Record<string, string>, body?: string): Promise<ReadReply>;
  get(target: string, headers?: Record<string, string>): Promise<ReadReply>;
  close(): Promise<void>;
}

/** Starts a repository. The caller closes it. */
export async function startRepository(options: object, kind: 'proxy' | 'hosted'): Promise<TestRepository> {
  const repository: KitRepository = await openTestRepository({
    plugin,
    options,
    definition: { kind, access: anonymousAccess(['read', 'write']) },
  });
  const ask: TestRepository['ask'] = async (method, path, headers = {}, body = '') => {
    const reply = await repository.ask({ method, path, headers, body });
    return { ...reply, body: reply.body.toString('utf8') };
  };
  return {
    upstream: repository.upstream,
    base: new URL(repository.upstreamUrl).pathname,
    clock: repository.clock,
    ask,
    get: (target, headers) => ask('GET', target, headers),
    close: () => repository.close(),
  };
}
