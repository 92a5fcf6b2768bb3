import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { PolicyEngine } from '@entrepot/core';
import {
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
} from '@entrepot/core/testing';
import { decodeModule, GoDatabase, goModule, proxyAnswer, type GoModule } from '@entrepot/fixtures/go-database';
import { hashZip } from '../src/dirhash.js';
import plugin from '../src/index.js';

export { dirHash, GoDatabase, goModule, makeZip } from '@entrepot/fixtures/go-database';

/** An upstream's reply; `undefined`: 404. */
export type Answer =
  | {
      readonly body: Buffer | string;
      readonly mediaType?: string;
      readonly status?: number;
      /** Names in lower case; a `content-length` of its own is sent whatever the body is. */
      readonly headers?: Readonly<Record<string, string>>;
    }
  | undefined;

/** A repository whose upstream is a module proxy with a checksum database. */
export interface GoRepository {
  readonly repository: TestRepository;
  readonly database: GoDatabase;
  readonly modules: GoModule[];
  get(path: string, headers?: Record<string, string>): Promise<TestReply>;
  /** The paths that the upstream was asked for, without its base. */
  readonly asked: string[];
  /** Replaces what the upstream answers; `undefined` passes on. */
  tamper(change: (path: string, answer: Answer) => Answer | Promise<Answer>): void;
}

/** The `h1:` of a module's zip. */
export async function zipHash(zip: Buffer, path: string, version: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-go-'));
  try {
    await writeFile(join(folder, 'module.zip'), zip);
    return (await hashZip({ source: join(folder, 'module.zip'), module: path, version })).hash;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A database with 1,000 records around those of the modules, so that its tree has several tiles. */
export function fixture(): { database: GoDatabase; modules: GoModule[] } {
  const database = new GoDatabase();
  database.fill(300);
  const text = 'package m // a module';
  const modules = [
    goModule({ path: 'example.com/one', version: 'v1.0.0', files: { 'one.go': text, LICENSE: 'MIT' }, database }),
    goModule({ path: 'example.com/one', version: 'v1.1.0', files: { 'one.go': `${text} again` }, database }),
    goModule({ path: 'example.com/Upper/Foo', version: 'v1.1.0-RC1', files: { 'foo.go': text }, database }),
    goModule({
      path: 'example.com/old',
      version: 'v2.0.0+incompatible',
      files: { 'a.go': text },
      database,
      noGoMod: true,
    }),
  ];
  database.fill(500);
  modules.push(goModule({ path: 'example.com/late', version: 'v0.1.0', files: { 'late.go': text }, database }));
  database.fill(7);
  modules.push(goModule({ path: 'corp.example.com/secret', version: 'v1.0.0', files: { 'secret.go': text } }));
  return { database, modules };
}

/** Opens a repository for one test. */
export async function openGo(
  given: Record<string, unknown> | ((database: GoDatabase) => Record<string, unknown>) = {},
  policy?: PolicyEngine,
  definition: NonNullable<TestRepositoryOptions['definition']> = {},
): Promise<GoRepository> {
  const { database, modules } = fixture();
  const options = typeof given === 'function' ? given(database) : given;
  let change = (_path: string, answer: Answer): Answer | Promise<Answer> => answer;
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '').slice('/base/'.length);
    asked.push(decodeURIComponent(path));
    const found = await change(decodeModule(path), proxyAnswer(modules, database, path));
    const { status = 200, mediaType = 'text/plain', body = '', headers } = found ?? { status: 404, body: 'not found' };
    response.writeHead(status, { 'content-type': mediaType, 'content-length': Buffer.byteLength(body), ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`;
  const repository = await openTestRepository({
    plugin,
    options: { sumdb: database.verifierKey, unverified: 'corp.example.com', private: 'hidden.example.com', ...options },
    definition: { upstreams: [{ url }], ...definition },
    ...(policy !== undefined && { policy }),
  });
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await repository.close();
  });
  return {
    repository,
    database,
    modules,
    asked,
    get: (path, headers = {}) => repository.ask({ path, headers }),
    tamper: (changed) => (change = changed),
  };
}
