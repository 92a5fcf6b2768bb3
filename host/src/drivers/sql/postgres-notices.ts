import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '@entrepot/core';
import { sql } from 'kysely';
import type { Client } from 'pg';
import type { NoticeHandler, Notices, NoticesOptions } from './notices.js';
import { listeningConnectionOf, type PostgresSettings } from './postgres-settings.js';

/** The channel on which a process hears itself. */
const SELF = 'entrepot_self';
/** The longest that a notice of one's own may take, and a statement on the connection; milliseconds. */
const SELF_TEST = 1_000;
const STATEMENT = 5_000;
/** The longest wait for the end of a connection; milliseconds. */
const FAREWELL = 1_000;
/** The interval at which a connection proves that it still hears; milliseconds. */
const PROOF_INTERVAL = 15_000;
/** The pauses between attempts to listen: at first, and at the most; milliseconds. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;

/** The names of channels need no quotes. */
const CHANNEL = /^[a-z_]{1,60}$/;

/**
 * Notices of PostgreSQL (`LISTEN`, `NOTIFY`), on a connection of their own. One that does not hear itself, as behind a pooler in
 * transaction mode, is tried again now and then, and until then `arrive` is false.
 */
export class PostgresNotices implements Notices {
  readonly #settings: PostgresSettings;
  readonly #options: NoticesOptions;
  readonly #handlers = new Map<string, Set<NoticeHandler>>();
  readonly #ended = new AbortController();
  #client: Client | undefined;
  #arrive = false;
  #wasSaid = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(settings: PostgresSettings, options: NoticesOptions) {
    this.#settings = settings;
    this.#options = options;
  }

  /** Begins to listen. Resolves when it is known whether notices arrive; never rejects. */
  static async open(settings: PostgresSettings, options: NoticesOptions): Promise<PostgresNotices> {
    const notices = new PostgresNotices(settings, options);
    const { promise, resolve } = Promise.withResolvers<void>();
    notices.#running = notices.#run(resolve);
    await promise;
    return notices;
  }

  get arrive(): boolean {
    return this.#arrive;
  }

  async notify(channel: string, payload: string): Promise<void> {
    requireName(channel);
    try {
      await sql`select pg_notify(${channel}, ${payload})`.execute(this.#options.database);
    } catch (error) {
      this.#options.logger.debug({ err: error, channel }, 'a notice was not sent');
    }
  }

  listen(channel: string, handler: NoticeHandler): () => void {
    requireName(channel);
    const handlers = this.#handlers.get(channel) ?? new Set();
    this.#handlers.set(channel, handlers.add(handler));
    // Where it cannot be said now, the next connection says it.
    this.#client?.query(`listen ${channel}`).catch(() => {});
    return () => {
      handlers.delete(handler);
      if (handlers.size > 0 || this.#handlers.get(channel) !== handlers) return;
      this.#handlers.delete(channel);
      this.#client?.query(`unlisten ${channel}`).catch(() => {});
    };
  }

  async dispose(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  /** @param begun called when the first attempt has shown whether notices arrive */
  async #run(begun: () => void): Promise<void> {
    let delay = FIRST_PAUSE;
    while (!this.#ended.signal.aborted) {
      const reason = await this.#session(() => {
        delay = FIRST_PAUSE;
        begun();
      });
      if (this.#ended.signal.aborted) break;
      this.#say(reason);
      begun();
      await waitFor(delay, this.#ended.signal);
      delay = Math.min(delay * 2, LONGEST_PAUSE);
    }
    begun();
  }

  /** Listens until the connection ends. @returns why it ended */
  async #session(hears: () => void): Promise<string> {
    const { default: pg } = await import('pg');
    const socket = new Socket();
    const connection = { ...listeningConnectionOf(this.#settings), query_timeout: STATEMENT, stream: () => socket };
    const client = new pg.Client(connection);
    const over = new AbortController();
    const end = (reason: string): void => over.abort(new Error(reason));
    const stop = (): void => end('the server stops');
    client.on('error', (error) => end(messageOf(error)));
    client.on('end', () => end('the connection has ended'));
    this.#ended.signal.addEventListener('abort', stop, { once: true });
    try {
      await client.connect();
      client.on('notification', ({ channel, payload = '' }) => {
        for (const handler of this.#handlers.get(channel) ?? []) handler(payload);
      });
      await client.query(`listen ${SELF}`);
      await this.#proof(client, over.signal);
      this.#client = client;
      for (const channel of this.#handlers.keys()) await client.query(`listen ${channel}`);
      this.#arrive = true;
      hears();
      if (this.#wasSaid) this.#options.logger.info({}, 'notices of the database arrive again');
      this.#wasSaid = false;
      // What was sent meanwhile is lost.
      for (const handlers of this.#handlers.values()) for (const handler of handlers) handler(undefined);
      for (;;) {
        await waitFor(PROOF_INTERVAL, over.signal);
        over.signal.throwIfAborted();
        await this.#proof(client, over.signal);
      }
    } catch (error) {
      return messageOf(error);
    } finally {
      this.#arrive = false;
      this.#client = undefined;
      this.#ended.signal.removeEventListener('abort', stop);
      // One on which nothing moves any more would be waited for in vain.
      const timer = setTimeout(() => socket.destroy(), FAREWELL);
      await client.end().catch(() => {});
      clearTimeout(timer);
    }
  }

  /** Sends a notice to this process itself, over the connections of everything else. @throws Error when it does not come */
  async #proof(client: Client, over: AbortSignal): Promise<void> {
    const own = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const hear = ({ channel, payload }: { readonly channel: string; readonly payload?: string | undefined }): void => {
      if (channel === SELF && payload === own) resolve();
    };
    const timer = setTimeout(() => reject(new Error(`no notice of its own within ${SELF_TEST} ms`)), SELF_TEST);
    const fail = (): void => reject(over.reason);
    client.on('notification', hear);
    over.addEventListener('abort', fail, { once: true });
    try {
      over.throwIfAborted();
      void this.notify(SELF, own);
      await promise;
    } finally {
      clearTimeout(timer);
      over.removeEventListener('abort', fail);
      client.off('notification', hear);
    }
  }

  /** Says once that notices do not arrive, until they do. */
  #say(reason: string): void {
    if (this.#wasSaid) return;
    this.#wasSaid = true;
    this.#options.logger.warn(
      { reason },
      'notices of the database do not arrive: changes of other servers are polled for. Behind a pooler in transaction mode, set metadata.listenUrl to the database itself',
    );
  }
}

/** Waits, unless `over` is aborted. */
async function waitFor(milliseconds: number, over: AbortSignal): Promise<void> {
  await pause(milliseconds, undefined, { signal: over }).catch(() => {});
}

function requireName(channel: string): void {
  if (!CHANNEL.test(channel)) throw new Error(`${channel} is no name of a channel: expected lower-case letters and _`);
}
