import type { ClientConfig } from 'pg';
import { readAuthorities } from '../read-authorities.js';

/** A database of PostgreSQL: a `url`, or a `host` and what belongs to it. */
export interface PostgresSettings {
  /** `postgres://user:password@host/database`; as libpq has it, `PG…` variables complete it. A secret. */
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  readonly user?: string | undefined;
  /** A secret. */
  readonly password?: string | undefined;
  readonly tls?: PostgresTls | undefined;
  /** The same database without a pooler between. Absent: there is none. A secret. */
  readonly listenUrl?: string | undefined;
}

/** Encryption of connections, in libpq's words. */
export interface PostgresTls {
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** A file with authorities, PEM. */
  readonly ca?: string | undefined;
}

/** The longest wait for a connection, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;
/** Names this program in `pg_stat_activity`. */
const NAME = 'entrepot';

/** The settings of a connection. @throws EntrepotError `configuration` when the file of `tls.ca` cannot be read */
export function connectionOf({ url, tls, ...given }: PostgresSettings): ClientConfig {
  const { host, port, database, user, password } = given;
  const place =
    url === undefined ? { host, port, database, user, password: password as string } : { connectionString: url };
  return {
    ...withoutUndefined(place),
    ...(tls !== undefined && { ssl: encryptionOf(tls) }),
    application_name: NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    keepAlive: true,
  };
}

/** The settings of the connection on which a process listens. */
export function listeningConnectionOf(settings: PostgresSettings): ClientConfig {
  const { listenUrl, tls } = settings;
  return connectionOf(listenUrl === undefined ? settings : { url: listenUrl, tls });
}

/** The database without what is secret in its settings. */
export function nameOf({ url, host, port, database }: PostgresSettings): string {
  if (url === undefined) return `postgres://${host}${port === undefined ? '' : `:${port}`}/${database ?? ''}`;
  if (!URL.canParse(url)) return 'of PostgreSQL';
  const { protocol, host: place, pathname } = new URL(url);
  return `${protocol}//${place}${pathname}`;
}

function encryptionOf({ mode, ca }: PostgresTls): ClientConfig['ssl'] {
  if (mode === 'disable') return false;
  if (mode === 'require') return { rejectUnauthorized: false };
  const authorities = ca === undefined ? {} : { ca: readAuthorities('metadata.tls.ca', ca) };
  // Of a certificate without the name that was asked for.
  return mode === 'verify-ca' ? { ...authorities, checkServerIdentity: () => undefined } : authorities;
}

function withoutUndefined<Fields extends object>(fields: Fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Fields]: Exclude<Fields[Key], undefined>;
  };
}
