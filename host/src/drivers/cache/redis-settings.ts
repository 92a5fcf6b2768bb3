import type { createClient } from '@keyv/redis';
import { readAuthorities } from '../read-authorities.js';

/** A server of Redis, as the configuration names it. */
export interface RedisSettings {
  /** `redis://` or `rediss://`, with or without a user and a password. A secret. */
  readonly url: string;
  readonly user?: string | undefined;
  /** A secret. */
  readonly password?: string | undefined;
  /** A file with the authorities that its certificate is checked against, PEM. */
  readonly ca?: string | undefined;
}

type ClientOptions = NonNullable<Parameters<typeof createClient>[0]>;

/** The longest that connecting may take, TLS included; milliseconds. It is done beside requests. */
const CONNECT_TIMEOUT = 3_000;
/** A connection on which nothing comes for so long is given up; milliseconds. More than two pings, or an idle one is given up, too. */
const SILENCE = 5_000;
const PING_INTERVAL = 2_000;
/** The pauses between attempts to connect: at first, and at the most; milliseconds. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 2_000;
/** More commands are not queued. */
const MOST_COMMANDS = 1_000;

/** Turns settings into those of the client. @throws EntrepotError `configuration` when the file of `ca` cannot be read */
export function clientOptions({ url, user, password, ca }: RedisSettings): ClientOptions {
  const socket = {
    connectTimeout: CONNECT_TIMEOUT,
    socketTimeout: SILENCE,
    reconnectStrategy: (attempts: number) =>
      Math.min(FIRST_PAUSE * 2 ** attempts, LONGEST_PAUSE) * (1 + Math.random() / 4),
    ...(ca !== undefined && { tls: true as const, ca: readAuthorities('cache.ca', ca) }),
  };
  return {
    url,
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    socket,
    pingInterval: PING_INTERVAL,
    // What is asked before it is connected would wait for ever.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MOST_COMMANDS,
  };
}

/** The server without what is secret in its URL. */
export function redisName({ url }: Pick<RedisSettings, 'url'>): string {
  if (!URL.canParse(url)) return 'Redis';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
