import { connect } from 'node:net';
import type Router from '@koa/router';
import { silentLogger, type Logger, type Outcome } from '@entrepot/core';
import type { EngineReply, EngineRequest, RepositoryDefinition, RepositoryEngine } from '@entrepot/core/engine';
import { onTestFinished } from 'vitest';
import { createApp, type AppOptions } from '../../src/http/app.js';
import { baseUrlOf } from '../../src/http/base-url.js';
import { Exchanges, type ExchangeObserver } from '../../src/http/exchange.js';
import { Listener, type ListenerOptions } from '../../src/http/listener.js';
import { OPEN, Operations } from '../../src/http/operations/operations.js';
import { createSenderOf } from '../../src/http/sender.js';
import type { MountedRepository } from '../../src/http/serve-repository.js';
import { trustedProxies } from '../../src/http/trusted-proxies.js';

export const HIT: Outcome = { name: 'hit', repository: 'files', resource: 'file' };

/** The handler of a fake repository. */
export type Handler = (request: EngineRequest) => EngineReply | Promise<EngineReply>;

/** An answer of a fake repository. */
export function reply(
  body?: EngineReply['body'],
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): EngineReply {
  return { status, headers, body, outcome: HIT };
}

/** A repository that answers by `handler`. */
export function repository(mount: string, handler: Handler, trusted: readonly string[] = []): MountedRepository {
  const engine: RepositoryEngine = {
    definition: {} as RepositoryDefinition,
    handle: async (request) => handler(request),
    describe: async () => [],
    part: async () => undefined,
    heal: async () => ({ outcome: 'healed' }),
    keysAt: async () => undefined,
    forget: async () => {},
    flights: () => 0,
    dispose: () => Promise.resolve(),
  };
  return {
    name: mount.slice(1) || 'root',
    mount,
    engine,
    baseUrl: baseUrlOf(undefined, mount, trustedProxies(trusted)),
    senderOf: createSenderOf({ publicUrls: [], proxies: trustedProxies(trusted), hasProxies: trusted.length > 0 }),
  };
}

/** Operations for one test, which everybody may use. @param metrics admits to the metrics */
export function operationsOf(router: Router, metrics = OPEN): Operations {
  return new Operations(router, { everybody: OPEN, metrics }, { logger: silentLogger });
}

/** A server for one test. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly exchanges: Exchanges;
  readonly listener: Listener;
  /** Sends `text` as it is, and gives back all that comes until the connection closes. */
  raw(text: string): Promise<string>;
}

/** Starts an app on a free port, and stops it after the test. */
export async function serve(
  repositories: readonly MountedRepository[],
  options: Partial<AppOptions> & {
    readonly observers?: readonly ExchangeObserver[];
    readonly logger?: Logger;
    readonly trusted?: readonly string[];
    readonly listener?: Partial<ListenerOptions>;
    readonly certificatesInterval?: number;
  } = {},
): Promise<TestServer> {
  const exchanges = new Exchanges(options.observers ?? [], trustedProxies(options.trusted ?? []));
  const logger = options.logger ?? silentLogger;
  const app = createApp({
    repositories,
    maxPathLength: 8192,
    exchanges,
    logger,
    ...(options.routes === undefined ? undefined : { routes: options.routes }),
  });
  const listener = new Listener(
    app,
    {
      host: '127.0.0.1',
      port: 0,
      headersTimeout: 5_000,
      requestTimeout: 60_000,
      keepAliveTimeout: 65_000,
      maxHeaderBytes: 16 * 1024,
      ...options.listener,
    },
    logger,
    options.certificatesInterval,
  );
  const url = await listener.listen();
  onTestFinished(() => listener.close(0));
  const port = Number(new URL(url).port);
  return { url, port, exchanges, listener, raw: (text) => rawExchange(port, text) };
}

function rawExchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.on('data', (chunk) => chunks.push(chunk));
    // A reset is an end too: what came before it counts.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}
