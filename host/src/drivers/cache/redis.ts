import type { Clock, Logger } from '@entrepot/core';
import { Breaker } from '@entrepot/core/formats';
import type { createClient } from '@keyv/redis';
import { Keyv } from 'keyv';
import type { FarCache } from './shared.js';
import { assertInstalled } from '../optional-packages.js';
import { clientOptions, redisName, type RedisSettings } from './redis-settings.js';
import { type KeptValue, parseValue, printValue } from './stored-value.js';

/** Begins the names of all keys, with the version of what stands there. */
const NAMESPACE = 'entrepot:1';
/** The longest that a request waits for an answer; milliseconds. */
const PATIENCE = 50;
/** The time for which a server that does not answer is left alone: at first, and at the most; milliseconds. */
const RESTS = { rest: 1_000, longestRest: 30_000 };
/** A longer value is not stored; UTF-16 units. */
const MOST_LENGTH = 2 * 1024 * 1024;
/** Values that are on their way at once; UTF-16 units. More are dropped. */
const MOST_WAITING = 16 * 1024 * 1024;
/** Answers that say that this user may not come in, or may not do this. */
const REFUSALS = new Set(['WRONGPASS', 'NOAUTH', 'NOPERM']);

type Client = ReturnType<typeof createClient>;

/** The outcome of a question: `failed` within its time, or `skipped` since nothing is to be had at the moment. */
export type CacheOutcome = 'hit' | 'miss' | 'failed' | 'skipped';

export interface RedisCacheParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The longest that a question may take, in milliseconds. Default: 50. */
  readonly patience?: number | undefined;
  /** Hears of each question. Must be quick and must not throw. */
  onOutcome?(outcome: CacheOutcome): void;
}

/**
 * A cache in Redis that many processes share. It never waits for longer than 50 milliseconds and never fails: a server that is
 * down, slow or emptied is as if there were none, and so is what others have stored under our names.
 */
export class RedisCache implements FarCache {
  readonly #client: Client;
  readonly #keyv: Keyv<string>;
  readonly #breaker = new Breaker(RESTS);
  readonly #parts: RedisCacheParts;
  readonly #name: string;
  /** Reasons that were said since it last answered. */
  readonly #complaints = new Set<string>();
  #waiting = 0;

  private constructor(client: Client, keyv: Keyv<string>, name: string, parts: RedisCacheParts) {
    this.#client = client;
    this.#keyv = keyv;
    this.#name = name;
    this.#parts = parts;
    client.on('error', (error: unknown) => this.#complain(error));
    client.on('ready', () => this.#answers());
    // Errors of commands come to whoever gave them.
    keyv.on('error', () => {});
  }

  /**
   * Begins to connect, and does not wait for it.
   * @throws EntrepotError `configuration` for settings that cannot be used
   */
  static async open(settings: RedisSettings, parts: RedisCacheParts): Promise<RedisCache> {
    const options = clientOptions(settings);
    // A megabyte and more that only servers with such a cache need.
    assertInstalled('redis');
    const { default: KeyvRedis, createClient } = await import('@keyv/redis');
    const client = createClient(options) as Client;
    const store = new KeyvRedis<string>(client as never, { namespace: NAMESPACE, throwOnErrors: true });
    const keyv = new Keyv<string>({
      store,
      namespace: NAMESPACE,
      useKeyPrefix: false,
      throwOnErrors: true,
      serialize: printValue,
      deserialize: <T>(stored: string) => parseValue(stored) as { value: T; expires: number } | undefined,
    });
    const cache = new RedisCache(client, keyv, redisName(settings), parts);
    client.connect().catch((error: unknown) => cache.#complain(error));
    return cache;
  }

  /** Whether nothing is to be had from it at the moment. */
  get isAway(): boolean {
    return !this.#client.isReady || this.#breaker.isFailing;
  }

  async get(key: string): Promise<KeptValue | undefined> {
    if (!this.#client.isReady || !this.#breaker.enter(this.#parts.clock.monotonic())) return this.#told('skipped');
    const asked = this.#keyv.get<string>(key, { raw: true });
    try {
      const found = await inTime(asked, this.#parts.patience ?? PATIENCE);
      this.#breaker.answered();
      if (typeof found?.value !== 'string') return this.#told('miss');
      this.#told('hit');
      return { value: found.value, expires: found.expires ?? 0 };
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** Keeps `value`. Nobody waits for that. */
  set(key: string, value: string, ttl: number): void {
    // Half of a character would be another one there.
    if (value.length > MOST_LENGTH || this.#waiting + value.length > MOST_WAITING || !value.isWellFormed()) return;
    this.#tell(() => this.#keyv.set(key, value, ttl), value.length);
  }

  /** Forgets `key`. Nobody waits for that. */
  delete(key: string): void {
    this.#tell(() => this.#keyv.delete(key), 0);
  }

  dispose(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }

  #tell(command: () => Promise<unknown>, size: number): void {
    if (this.isAway) return;
    this.#waiting += size;
    command()
      // The connection may have ended meanwhile; that is told by itself.
      .catch((error: unknown) => void (isAnswer(error) && this.#complain(error)))
      .finally(() => (this.#waiting -= size));
  }

  #failed(error: unknown): undefined {
    // One that answers is there.
    if (isAnswer(error)) this.#breaker.answered();
    else this.#breaker.failed(this.#parts.clock.monotonic());
    this.#complain(error);
    return this.#told('failed');
  }

  #told(outcome: CacheOutcome): undefined {
    this.#parts.onOutcome?.(outcome);
  }

  #answers(): void {
    if (this.#complaints.size > 0) this.#parts.logger.info({ cache: this.#name }, 'the shared cache answers again');
    this.#complaints.clear();
  }

  /** Says each reason once, until it answers again. */
  #complain(error: unknown): void {
    const code = codeOf(error);
    // What somebody else has stored under the name.
    if (code === 'WRONGTYPE' || this.#complaints.has(code)) return;
    this.#complaints.add(code);
    // The message of the client library may hold the URL, with the password.
    const message = REFUSALS.has(code)
      ? 'the shared cache refuses this server: expected the right user and password in cache.user and cache.password, or in cache.url; it works without the cache meanwhile'
      : 'the shared cache does not answer: it works without it meanwhile';
    this.#parts.logger.warn({ cache: this.#name, code }, message);
  }
}

/** Asks the server for its version. Changes nothing in it. @throws Error with what the server or the client library says */
export async function redisVersion(settings: RedisSettings): Promise<string | undefined> {
  const options = clientOptions(settings);
  assertInstalled('redis');
  const { createClient } = await import('@keyv/redis');
  const client = createClient({
    ...options,
    socket: { ...options.socket, reconnectStrategy: false },
  } as typeof options);
  client.on('error', () => {});
  try {
    await client.connect();
    return /^redis_version:(\S+)/m.exec(await client.info('server'))?.[1];
  } finally {
    if (client.isOpen) client.destroy();
  }
}

class LateError extends Error {
  readonly code = 'TIMEOUT';
}

/** @throws LateError when `work` takes too long; milliseconds */
async function inTime<T>(work: Promise<T>, most: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LateError()), most);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether Redis answered, with an error: its messages begin with a word in capitals. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && /^[A-Z]{3,} /.test(error.message);
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  if (isAnswer(error)) return error.message.slice(0, error.message.indexOf(' '));
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
