import { withoutTrailingSlashes } from '@entrepot/core';
import { POLICY_MODES, PRESET_NAMES, SMALL_BLOB } from '@entrepot/core/engine';
import { optional, prefault, z } from 'zod';
import type { Distribution } from './distribution.js';
import { EVENT_NAMES } from './event-names.js';
import { age, duration, endlessDuration, endlessSize, size, timeout } from './quantities.js';
import {
  choice,
  driver,
  flag,
  host,
  httpUrl,
  isMount,
  isNetwork,
  isPlainPath,
  isPluginReference,
  listenAddress,
  name,
  OTHER_BACKEND,
  passwordHash,
  text,
  withOptions,
} from './values.js';

// The single source of the configuration: its types, the JSON Schema for editors and docs/configuration.md come from
// here, so every key has a description. One file, although a long one: it is a table that is read from top to bottom, and its
// sections share users, issuers and transports. What is not a key stands in values.ts. Schemas transform from what people write (`30s`) to what the code uses
// (milliseconds); rules that span several keys are in semantic-checks.ts, so that all of them are reported at once.

const tlsSchema = z
  .strictObject({
    cert: text.describe('The file with the certificate of the server and those between it and its authority, PEM.'),
    key: text.describe('The file with its private key, PEM.'),
    ca: optional(text).describe('The file with the authorities that client certificates are checked against, PEM.'),
    clientCertificates: choice(['none', 'require'], 'none').describe(
      '`require`: only clients with a certificate of an authority in `ca` are accepted.',
    ),
  })
  .refine(({ ca, clientCertificates }) => (ca === undefined) === (clientCertificates === 'none'), {
    error: 'expected ca and clientCertificates: require together',
  });

/** The certificates of a listener. Paths are absolute. */
export type TlsConfig = z.output<typeof tlsSchema>;

const network = z.string().refine(isNetwork, { error: 'expected an address or a network such as 10.0.0.0/8' });

const shareSchema = z
  .strictObject({
    requests: optional(z.number().min(0.01).max(1_000_000)).describe(
      'The requests a second that a caller may make for as long as they like.',
    ),
    burst: optional(z.int().min(1).max(10_000_000)).describe(
      'The requests at once, after a pause. Left out: those of ten seconds.',
    ),
    bytes: optional(size({ least: 1 })).describe(
      'The bytes of answers a second that a caller may have for as long as they like. They are counted when an answer ends.',
    ),
    byteBurst: optional(size({ least: 1 })).describe(
      'The bytes at once, after a pause. Left out: those of ten seconds.',
    ),
  })
  .refine(({ requests, bytes }) => requests !== undefined || bytes !== undefined, {
    error: 'expected requests, bytes or both',
  })
  .refine(({ requests, burst }) => requests !== undefined || burst === undefined, {
    error: 'expected burst beside requests',
  })
  .refine(({ bytes, byteBurst }) => bytes !== undefined || byteBurst === undefined, {
    error: 'expected byteBurst beside bytes',
  });

/** The share of one caller. */
export type ShareConfig = z.output<typeof shareSchema>;

const rateLimitSchema = z.strictObject({
  address: optional(shareSchema).describe(
    'The share of each address (of IPv6: each /64), for requests of callers who are not authenticated. Left out: they are not limited.',
  ),
  principal: optional(shareSchema).describe(
    'The share of each authenticated caller, from all addresses together. Left out: their requests count for their address.',
  ),
  exempt: prefault(
    z.strictObject({
      networks: z.array(network).default([]).describe('Addresses and networks whose requests are not counted.'),
      principals: z.array(text).default([]).describe('Names of callers whose requests are not counted.'),
    }),
    {},
  ).describe('Who is not limited.'),
});

/** The shares of callers. */
export type RateLimitConfig = z.output<typeof rateLimitSchema>;

const publicUrl = httpUrl({ credentials: false }).transform(withoutTrailingSlashes);

const homeSchema = z
  .strictObject({
    title: optional(z.string().trim().min(1).max(200)).describe('The title. Left out: `Entrepot`.'),
    text: optional(z.string().max(10_000)).describe(
      'Text below it; an empty line begins a paragraph. Left out: one sentence on what this is.',
    ),
    file: optional(text).describe(
      'Instead: a file with the HTML of the whole body, at most 1 MiB, where `{{repositories}}` stands for the list of repositories. Scripts and what is elsewhere do not run. Read again on reload.',
    ),
  })
  .refine(({ title, text: below, file }) => file === undefined || (title === undefined && below === undefined), {
    error: 'expected either file, or title and text',
  });

/** The start page, as the configuration describes it. */
export type HomeConfig = z.output<typeof homeSchema>;

const serverSchema = z.strictObject({
  listen: prefault(listenAddress, '127.0.0.1:8080').describe(
    'Where the server listens: `host:port`, `[::1]:port`, or `:port` for every address of the machine.',
  ),
  publicUrl: optional(publicUrl).describe(
    'The URL under which clients reach the server, without a repository’s mount. Left out: what each request says (its `Host`, and `X-Forwarded-*` of trusted proxies).',
  ),
  tls: optional(tlsSchema).describe(
    'HTTPS, with certificates that are read again when their files change. Left out: plain HTTP.',
  ),
  tokenKey: optional(z.string().min(32, { error: 'expected a secret of at least 32 characters' })).describe(
    'The secret that signs the tokens of `/-/token`, the same on all replicas: `${env:…}` or `${file:…}`. Left out: one is generated and stored beside the database.',
  ),
  trustProxy: z
    .array(network)
    .default([])
    .describe('Addresses and networks whose `X-Forwarded-For`, `-Proto` and `-Host` are trusted.'),
  drainDelay: prefault(duration(), '0s').describe(
    'How long new requests are still accepted after SIGTERM, while `/-/readyz` answers 503. Set it longer than a load balancer takes to notice.',
  ),
  drainTimeout: prefault(timeout(), '30s').describe(
    'How long running requests may take to end after SIGTERM, and after `drainDelay`.',
  ),
  workers: z
    .union([z.int().min(1).max(64), z.literal('auto')])
    .default(1)
    .describe(
      'How many processes serve, on the same listeners and stores: each has a part of the memory of `cache`. `auto`: as many as this machine, or its container, has processors.',
    ),
  headersTimeout: prefault(timeout(), '30s').describe('How long a client may take to send the head of a request.'),
  requestTimeout: prefault(timeout(), '1h').describe(
    'How long a client may take to send a whole request, uploads included.',
  ),
  keepAliveTimeout: prefault(timeout(), '75s').describe(
    'How long an idle connection of a client is kept. Longer than that of a load balancer in front.',
  ),
  maxHeaderBytes: prefault(size({ least: 1024 }), '16KiB').describe(
    'The largest head of a request; a larger one is answered with 431.',
  ),
  maxPathLength: prefault(size({ least: 64 }), '8KiB').describe(
    'The longest path of a request, query included; a longer one is answered with 414.',
  ),
  rateLimit: optional(rateLimitSchema).describe(
    'How much each caller may ask of all repositories together, and of the server’s own pages; beyond it the answer is 429 with `Retry-After`. Each process counts by itself. Left out: without limit.',
  ),
  home: prefault(homeSchema, {}).describe('The start page (`/`).'),
});

const spoolSchema = z.strictObject({
  path: optional(text).describe(
    'The folder for bytes that are on their way. Left out: a `spool` folder beside the blobs, or in their folder where that is the root of a mount, or nothing can be made beside it; `./data/spool` where blobs are not files here. On the same file system a finished download is linked, not copied.',
  ),
  maxBytes: prefault(size({ least: 1024 * 1024 }), '20GiB').describe(
    'The most disk space of all downloads in flight. Each may take at most twice what it leaves free for others (two thirds, when it is alone). Past the limit, downloads are passed through without being stored. Unfinished uploads have a limit of the same size; past it they are refused.',
  ),
  keepUploads: prefault(duration(), '24h').describe(
    'How long an upload in several requests may be idle before its bytes are removed.',
  ),
});

const verifySchema = z.strictObject({
  rate: prefault(size(), '4MiB').describe(
    'How fast a server verifies its blobs in the background, in bytes a second, to find those that the disk has changed; `0`: not at all.',
  ),
  interval: prefault(duration(), '1h').describe('How long after the end of one such run the next one begins.'),
  batchSize: z.int().min(10).max(10_000).default(500).describe('The number of blobs that are looked up together.'),
  onFirstRead: flag(false).describe(
    'Whether large blobs, too, are verified before the first byte of them is served after a start. Small ones always are. `false`: large ones are verified while they are sent for the first time, and a damaged one breaks off before its end.',
  ),
});

const gcSchema = z.strictObject({
  interval: prefault(duration(), '1h').describe(
    'How often a server looks for blobs that nothing points at any more; `0s`: never, for whoever runs `entrepot gc`.',
  ),
  grace: prefault(duration(), '1h').describe(
    'How long such a blob is kept before it is deleted. Not shorter than the longest clock difference between servers.',
  ),
  batchSize: z.int().min(10).max(10_000).default(500).describe('The number of blobs that are looked at together.'),
});

/** The keys of every store of blobs. */
const storageKeys = {
  maxBytes: prefault(endlessSize({ least: 1024 * 1024 }), 'unlimited').describe(
    'The most bytes of all blobs. Past it, what proxies keep and nobody has asked for goes; never what is hosted or pinned.',
  ),
  gc: prefault(gcSchema, {}).describe('Deletion of blobs that nothing points at.'),
  verify: prefault(verifySchema, {}).describe('Verification of blobs that are stored.'),
  spool: prefault(spoolSchema, {}).describe('Bytes that are on their way from an upstream or an uploader.'),
};

const filesystemStorageSchema = z.strictObject({
  backend: driver('filesystem').describe('The driver: `filesystem` keeps blobs as files, addressed by their digest.'),
  path: text.default('./data/blobs').describe('The folder for blobs. Made when it is not there.'),
  durability: choice(['strict', 'relaxed'], 'strict').describe(
    '`strict`: a blob is on the disk (fsync) before anything points at it. `relaxed`: faster; after a power failure the newest blobs may be fetched again.',
  ),
  reserve: prefault(size(), '256MiB').describe(
    'Free bytes of the volume that blobs leave alone: below it something is evicted, else new bytes are passed through and not kept. `0`: none.',
  ),
  ...storageKeys,
});

const s3CredentialsSchema = z.strictObject({
  accessKeyId: text.describe('The id of the access key.'),
  secretAccessKey: text.describe('The secret access key: `${env:…}` or `${file:…}`.'),
  sessionToken: optional(text).describe('The token of temporary credentials: `${env:…}` or `${file:…}`.'),
});

const s3EncryptionSchema = z
  .strictObject({
    type: z.enum(['s3', 'kms']).describe('`s3`: by keys of the server (`AES256`). `kms`: by a key of its key service.'),
    key: optional(text).describe('The id of the key for `kms`. Left out: the default key of the account.'),
  })
  .refine(({ type, key }) => type === 'kms' || key === undefined, { error: 'expected a key only where type is kms' });

const diskCacheSchema = z.strictObject({
  path: text.describe(
    'The folder for the copies. Made when it is not there; it may be emptied while the server is down.',
  ),
  maxBytes: prefault(size({ least: 1024 * 1024 }), '10GiB').describe(
    'The most bytes of all copies. What is not asked for again goes first.',
  ),
});

const redirectSchema = z.strictObject({
  minSize: prefault(size({ least: SMALL_BLOB }), '1MiB').describe(
    'The smallest artifact that clients fetch from the bucket. Smaller ones are in memory here, or soon are.',
  ),
  expires: prefault(age(), '60s').describe(
    'How long a signed URL can be used, in whole seconds. A download that has begun goes on.',
  ),
});

/** The keys of every store that is no folder. */
const remoteKeys = {
  cache: optional(diskCacheSchema).describe(
    'Copies of blobs on a disk of this machine, made when they are read. Left out: none; every read of what is not in memory goes to the bucket.',
  ),
  redirect: optional(redirectSchema).describe(
    'Clients fetch large artifacts from the bucket itself: they are sent there (307) with a signed URL, once access and policy have been decided. Left out: everything passes through the server. Set it only where all clients reach the bucket.',
  ),
};

const s3StorageSchema = z.strictObject({
  backend: z.literal('s3').describe('`s3`: keeps blobs in a bucket of S3, or of a server with its API.'),
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, {
      error: 'expected the name of a bucket: 3 to 63 lower-case letters, digits, "." and "-"',
    })
    .describe('The bucket. It must be there.'),
  region: optional(text).describe(
    'Its region. Left out: that of the environment (`AWS_REGION`, AWS’s files); with an `endpoint`: `us-east-1`.',
  ),
  endpoint: optional(httpUrl({ credentials: false })).describe(
    'The URL of a server with the API of S3. Left out: AWS.',
  ),
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*)?$/, {
      error: 'expected a path such as entrepot/blobs, without a slash at its ends',
    })
    .default('')
    .describe('What the names of all objects begin with, so that a bucket can be shared.'),
  pathStyle: optional(z.boolean()).describe(
    'Whether the bucket stands in the path of URLs and not in the host name. Left out: `true` with an `endpoint`, else `false`.',
  ),
  credentials: optional(s3CredentialsSchema).describe(
    'The credentials. Left out: what AWS’s tools use here (variables, files, the role of the machine or the pod).',
  ),
  encryption: optional(s3EncryptionSchema).describe(
    'The encryption that is asked of the server for each object; one that does not confirm it is refused at start. Left out: the default of the bucket.',
  ),
  ...remoteKeys,
  connections: z
    .int()
    .min(1)
    .max(10_000)
    .default(128)
    .describe('The most connections for writes, lists and deletions.'),
  connectTimeout: prefault(timeout(), '2s').describe('How long connecting may take, TLS included.'),
  headersTimeout: prefault(timeout(), '10s').describe('How long the server may take to begin its answer.'),
  idleTimeout: prefault(timeout(), '30s').describe('How long a body may pause, in either direction.'),
  ...storageKeys,
});

const pluginStorageKeys = {
  backend: z
    .string()
    .regex(/^(?!(?:filesystem|s3)$)\S+$/, { error: OTHER_BACKEND })
    .describe(
      '`azure`, `gcs`: keep blobs in Azure Blob Storage or Google Cloud Storage, by the packages `@entrepot/storage-azure` and `@entrepot/storage-gcs`. Another store: the id of its plugin, or its package. The other keys are those of the plugin (docs/storage.md).',
    ),
  ...remoteKeys,
  ...storageKeys,
};

const pluginStorageSchema = withOptions(pluginStorageKeys).transform(({ common: { backend, ...common }, options }) => ({
  ...common,
  backend: 'plugin' as const,
  plugin: backend,
  options,
}));

/** The keys that every store of a plugin has. The other ones are options of its plugin. */
export const COMMON_STORAGE_KEYS: readonly string[] = Object.keys(pluginStorageKeys);

const storageSchema = z.union([
  z.discriminatedUnion('backend', [filesystemStorageSchema, s3StorageSchema]),
  pluginStorageSchema,
]);

const sqliteMetadataSchema = z.strictObject({
  backend: driver('sqlite').describe(
    'The driver. `sqlite`: embedded, no service, the servers and workers of one machine.',
  ),
  path: text.default('./data/entrepot.db').describe('The database file. Made when it is not there.'),
});

/** A URL of PostgreSQL. */
const postgresUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\/\S+$/, { error: 'expected postgres://user:password@host/database' });

const databaseTlsSchema = z.strictObject({
  mode: choice(['disable', 'require', 'verify-ca', 'verify-full'], 'verify-full').describe(
    '`verify-full`: encrypted, and the certificate of the server is checked, its name too. `verify-ca`: without its name. `require`: encrypted, and nothing is checked. `disable`: not encrypted.',
  ),
  ca: optional(text).describe(
    'The file with the authorities that the certificate of the server is checked against, PEM. Left out: those that Node trusts.',
  ),
});

const postgresMetadataSchema = z.strictObject({
  backend: z
    .enum(['postgresql', 'postgres'])
    .describe('`postgresql`: servers and workers on any machines. `postgres` is another word for it.'),
  url: optional(postgresUrl).describe(
    'The database, as libpq writes it, instead of `host` and what follows. A secret where it has a password: `${env:…}` or `${file:…}`.',
  ),
  host: optional(text).describe('The host of the database, instead of a `url`; or the folder of its Unix socket.'),
  port: optional(z.int().min(1).max(65_535)).describe('The port of the database. Left out: 5432.'),
  database: optional(text).describe('The name of the database. Left out: that of the user.'),
  user: optional(text).describe('The user. Left out: that of this process.'),
  password: optional(text).describe('The password: `${env:…}` or `${file:…}`. Left out: none, or that of `.pgpass`.'),
  tls: optional(databaseTlsSchema).describe(
    'Encryption of connections. Left out: what `sslmode` in `url` says; not encrypted where nothing says so.',
  ),
  listenUrl: optional(postgresUrl).describe(
    'The same database without a connection pooler between, as `url` is written. Needed where `url` or `host` leads to PgBouncer in transaction mode, through which servers cannot wake each other: without it they poll.',
  ),
  maxConnections: z
    .int()
    .min(1)
    .max(1000)
    .default(10)
    .describe('The most connections of this process, besides one on which it listens.'),
});

/** A database of PostgreSQL, as the configuration names it. */
export type PostgresConfig = z.output<typeof postgresMetadataSchema>;

/** The memory of this process, which every cache has. */
const memoryKeys = {
  maxBytes: prefault(size(), '128MiB').describe('The most memory for small blobs and rewritten documents.'),
  maxEntries: z.int().min(0).default(100_000).describe('The most entries of the index that are held in memory.'),
};

const memoryCacheSchema = z.strictObject({
  backend: driver('memory').describe('The driver: `memory` of this process.'),
  ...memoryKeys,
});

const redisCacheSchema = z.strictObject({
  backend: z
    .literal('redis')
    .describe(
      '`redis`: besides the memory of this process, a Redis (or Valkey) that all servers over one store share.',
    ),
  url: z
    .string()
    .regex(/^rediss?:\/\/[^\s/?#]+(\/\d{0,4})?$/, {
      error: 'expected redis://host:port/number or, with TLS, rediss://host:port/number',
    })
    .describe(
      'The server, and behind the slash the number of its database: `redis://host:6379/0`, with TLS `rediss://`. A secret where it has a password: `${env:…}` or `${file:…}`.',
    ),
  user: optional(text).describe('The user. Left out: the one in `url`, or the default user.'),
  password: optional(text).describe('The password: `${env:…}` or `${file:…}`. Left out: the one in `url`, or none.'),
  ca: optional(text).describe(
    'For `rediss://`: the file with the authorities that the certificate of the server is checked against, PEM. Left out: those that Node trusts.',
  ),
  ...memoryKeys,
});

const metricsSchema = z.strictObject({
  enabled: flag(true).describe('Whether metrics are served.'),
  listen: optional(listenAddress).describe(
    'A listener of its own for metrics, with `server.tls`; they are served there alone. Left out: that of the server.',
  ),
  path: z
    .string()
    .refine(isPlainPath, { error: 'expected a path such as /metrics' })
    .default('/metrics')
    .describe('Where metrics are served in the Prometheus text format.'),
  token: optional(text).describe(
    'The bearer token that a reader of the metrics has to send. Left out: anyone may read them.',
  ),
});

const statisticsSchema = z.strictObject({
  enabled: flag(true).describe('Whether requests are counted by repository, day, package and principal.'),
  interval: prefault(timeout(), '30s').describe(
    'How often what was counted in memory is written to the database. A process that is killed loses so much.',
  ),
  keep: prefault(age(), '400d').describe('How long the numbers of a day are kept.'),
  packagesPerDay: z
    .int()
    .min(1)
    .max(100_000)
    .default(500)
    .describe(
      'The packages of one repository that have numbers of their own on one day; the rest are counted together.',
    ),
  principalsPerDay: z
    .int()
    .min(1)
    .max(100_000)
    .default(200)
    .describe('The principals of one repository that have numbers of their own on one day.'),
});

/** Statistics of requests. */
export type StatisticsConfig = z.output<typeof statisticsSchema>;

const logSchema = z.strictObject({
  level: choice(['debug', 'info', 'warn', 'error', 'silent'], 'info').describe(
    'The lowest level of messages that are logged.',
  ),
  format: choice(['auto', 'json', 'text'], 'auto').describe(
    '`json`: one object a line. `text`: for people. `auto`: text on a terminal, JSON elsewhere.',
  ),
  file: optional(text).describe(
    'The file that lines are appended to. A file that is moved away, or emptied, is begun anew: `logrotate` needs neither a signal nor `copytruncate`, and may use either. Left out: standard output.',
  ),
  access: flag(true).describe(
    'Whether each request is logged, with its outcome and its caller. Probes and requests for the metrics are logged only when something is wrong.',
  ),
});

const tracingSchema = z.strictObject({
  endpoint: optional(httpUrl({ credentials: false })).describe(
    'The URL of a collector that takes OTLP over HTTP, such as `http://collector:4318`; `/v1/traces` is added. Left out: nothing is traced.',
  ),
  headers: prefault(
    z.record(z.string().regex(/^[A-Za-z0-9-]+$/, { error: 'expected the name of a header' }), text),
    {},
  ).describe('Headers for the collector, such as `Authorization`. Secrets: `${env:…}` or `${file:…}`.'),
  serviceName: text.default('entrepot').describe('The name of this service in traces.'),
  sample: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe(
      'The part of requests that is traced, from 0 to 1. For a request with a `traceparent`, its sender decides.',
    ),
  passToUpstreams: flag(false).describe('Whether upstreams are told of the trace by `traceparent`.'),
});

/** Traces. */
export type TracingConfig = z.output<typeof tracingSchema>;

/** Credentials for an upstream. Secret. */
export type UpstreamAuth = { readonly username: string; readonly password: string } | { readonly token: string };

const authSchema = z
  .strictObject({
    username: optional(z.string().regex(/^[^:\r\n]+$/, { error: 'expected a user name without ":"' })).describe(
      'The user for basic authentication.',
    ),
    password: optional(z.string()).describe(
      'The password for basic authentication. A secret: `${env:…}` or `${file:…}`.',
    ),
    token: optional(z.string().regex(/^[\x21-\x7e]+$/, { error: 'expected a token without spaces' })).describe(
      'The bearer token, instead of user and password. A secret: `${env:…}` or `${file:…}`.',
    ),
  })
  .transform(({ username, password, token }, context): UpstreamAuth => {
    if (token !== undefined && username === undefined && password === undefined) return { token };
    if (token === undefined && username !== undefined && password !== undefined) return { username, password };
    context.addIssue({ code: 'custom', message: 'expected either username and password, or token' });
    return z.NEVER;
  });

/** An upstream as the configuration names it. */
export interface UpstreamConfig {
  /** The base URL, without credentials and without a trailing slash. */
  readonly url: string;
  readonly scope?: string | undefined;
  readonly fallback?: 'not-found' | 'any-error' | undefined;
  /** Its own, else that of its URL, else the repository's. */
  readonly auth?: UpstreamAuth | undefined;
}

const upstreamUrl = httpUrl({ credentials: true }).transform((url): UpstreamConfig => withoutCredentials(url));

const upstreamSchema = z.union([
  upstreamUrl,
  z
    .strictObject({
      url: upstreamUrl.describe('The base URL of the upstream.'),
      scope: optional(text).describe('Ask this upstream only for names of this scope (npm: `@acme`).'),
      fallback: optional(z.enum(['not-found', 'any-error'])).describe(
        'The failures of this upstream after which the next one is tried: only “not found” (`,` in `GOPROXY`), or any (`|`). Left out: the default of the protocol.',
      ),
      auth: optional(authSchema).describe('Credentials for this upstream alone.'),
    })
    .transform(({ url, scope, fallback, auth }): UpstreamConfig => {
      const credentials = auth ?? url.auth;
      return {
        url: url.url,
        ...(scope !== undefined && { scope }),
        ...(fallback !== undefined && { fallback }),
        ...(credentials !== undefined && { auth: credentials }),
      };
    }),
]);

const transportSchema = z.strictObject({
  proxy: optional(
    z.union([z.literal('none'), httpUrl({ credentials: true })], {
      error: 'expected the http:// or https:// URL of a proxy, or none',
    }),
  ).describe(
    'The HTTP proxy through which the upstreams are reached; may hold credentials. `none`: no proxy. Left out: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` apply, in capitals or small letters.',
  ),
  noProxy: optional(
    z
      .array(z.string().regex(/^\S+$/, { error: 'expected a host, an address, a network or *, without spaces' }))
      .max(1000),
  ).describe(
    'Hosts that are reached without a proxy: a name is also what is below it, `.name` only that; addresses, networks (`10.0.0.0/8`), each with a port or without, `*`. Left out: with `proxy` none, else `NO_PROXY`.',
  ),
  minTlsVersion: choice(['TLSv1.2', 'TLSv1.3'], 'TLSv1.2').describe(
    'The lowest version of TLS that is spoken with upstreams, and with their proxy.',
  ),
  userAgent: z
    .string()
    .regex(/^[\x20-\x7e]+$/, { error: 'expected printable ASCII text' })
    .default('entrepot')
    .describe('The `User-Agent` that upstreams see.'),
  connectTimeout: prefault(timeout(), '5s').describe('How long connecting to an upstream may take, TLS included.'),
  headersTimeout: prefault(timeout(), '30s').describe('How long an upstream may take to begin its answer.'),
  idleTimeout: prefault(timeout(), '30s').describe('How long an upstream may pause in the middle of a body.'),
  totalTimeout: prefault(timeout(), '30m').describe('How long one fetch may take, from the request to the last byte.'),
  connections: z.int().min(1).max(10_000).default(64).describe('The most connections to one upstream host.'),
  allowPrivateHosts: prefault(z.array(host), []).describe(
    'Hosts (`name` or `name:port`) that redirects and documents of the upstream may lead to wherever their address is. The upstreams themselves need not be listed, nor hosts on the same kind of network.',
  ),
});

const freshnessSchema = z.strictObject({
  policy: optional(z.enum(['immutable', 'revalidate', 'bypass'])).describe(
    '`immutable`: a cached copy stays fresh; `revalidate`: it is fresh for `freshFor`, then revalidated at the upstream; `bypass`: nothing is cached.',
  ),
  freshFor: optional(endlessDuration()).describe('How long a copy is served without asking the upstream.'),
  expireAfter: optional(endlessDuration()).describe(
    'The ceiling for every policy: past it the upstream is asked again. The copy stays until it is replaced.',
  ),
  busy: optional(z.enum(['wait', 'stale', 'bypass'])).describe(
    'What a request does while a refresh is running: wait for it, serve the cached copy, or ask the upstream as well.',
  ),
  staleIfError: optional(endlessDuration()).describe(
    'How long after it went stale a copy may be served while the upstream is failing.',
  ),
  staleAfter: optional(endlessDuration()).describe(
    'How long a request waits for the upstream where a stale copy may be served instead. Then it gets that copy, and the revalidation goes on in the background. `forever`: to the end of the revalidation.',
  ),
  staleWhileRevalidate: optional(endlessDuration()).describe(
    'How long after it went stale a copy is served at once while a refresh runs in the background.',
  ),
  negativeFor: optional(duration()).describe('How long “not found” of the upstream is cached; `0`: not at all.'),
  negativeIfError: optional(duration()).describe(
    'How long after that it is still served while the upstream is failing; `0`: never.',
  ),
  onGone: optional(z.enum(['pass', 'keep'])).describe(
    'A cached document that the upstream no longer has: pass “not found” on, or keep serving the copy.',
  ),
  respectNoStore: optional(z.boolean()).describe(
    'Whether `Cache-Control: no-store` or `private` of the upstream forbids caching.',
  ),
});

const limitsSchema = z.strictObject({
  maxDocumentBytes: prefault(size({ least: 1024 }), '256MiB').describe(
    'The largest document that is accepted from an upstream, decompressed.',
  ),
  maxArtifactBytes: prefault(endlessSize(), 'unlimited').describe(
    'The largest artifact that is accepted from an upstream.',
  ),
  maxRequestBytes: prefault(size({ least: 1024 }), '4MiB').describe(
    'The largest body of a request that is passed on to an upstream, decompressed.',
  ),
  fetches: optional(z.int().min(1).max(100_000)).describe(
    'The most fetches for clients at a time. Others wait, and clients take turns. Left out: `transport.connections`.',
  ),
  fetchesPerClient: optional(z.int().min(1).max(100_000)).describe(
    'The most of them for one client: a caller by name, else an address. Left out: three quarters of `fetches`.',
  ),
  fetchQueueTimeout: prefault(timeout(), '60s').describe(
    'How long a request waits for its turn. Then it gets a kept copy, or 503 with `Retry-After`.',
  ),
});

/** A password, or its hash. */
const passwordKeys = {
  password: optional(text).describe('The password. A secret: `${env:…}` or `${file:…}`.'),
  passwordHash: optional(passwordHash).describe(
    'Instead: its hash, as `entrepot password` prints it, or bcrypt (`$2y$…`).',
  ),
};

const ONE_PASSWORD = 'expected either password or passwordHash';

function hasOnePassword({ password, passwordHash: hash }: { password?: unknown; passwordHash?: unknown }): boolean {
  return (password === undefined) !== (hash === undefined);
}

/** By their names. */
function usersOf<User extends z.ZodType>(user: User) {
  return z
    .record(z.string().regex(/^[^:\s\p{Cc}]+$/u, { error: 'expected a user name without ":" and spaces' }), user)
    .prefault({});
}

const userSchema = z
  .strictObject({
    ...passwordKeys,
    may: choice(['read', 'write'], 'read').describe('`write` includes `read`, and deletes.'),
    names: optional(z.array(text)).describe(
      'The names in the repository that this holds for (images, tenants of charts, packages, projects, modules, paths of files): globs, where `*` stays within a segment and `a/**` is `a` and all below it; Go modules by globs as in `GOPRIVATE`, Python projects with `*` for any characters. Left out: all.',
    ),
  })
  .refine(hasOnePassword, { error: ONE_PASSWORD });

/** Whose tokens are taken, and what they are checked with. */
const issuerKeys = {
  keyFile: optional(text).describe('The file with the public key: PEM, a JWK or a JWK set.'),
  keysUrl: optional(httpUrl({ credentials: false })).describe(
    'Instead: the URL of the JWK set of the identity provider. Fetched when it is needed, at most every 30 seconds.',
  ),
  issuer: text.describe('The required `iss`.'),
  audience: text.describe('The required `aud`, or one of its values.'),
  algorithms: z
    .array(z.enum(['RS256', 'ES256', 'EdDSA']))
    .min(1, { error: 'expected at least one algorithm' })
    .default(['RS256', 'ES256', 'EdDSA'])
    .describe('The accepted algorithms. A PEM key is of one of them, whatever a token says.'),
  clockTolerance: prefault(duration(), '30s').describe('How far the clock of the identity provider may be off.'),
  claim: text.default('scope').describe('The claim with the words that grant rights: `scope`, `groups`.'),
};

const ONE_KEY_SOURCE = 'expected either keyFile or keysUrl';

function hasOneKeySource({ keyFile, keysUrl }: { keyFile?: unknown; keysUrl?: unknown }): boolean {
  return (keyFile === undefined) !== (keysUrl === undefined);
}

const issuerSchema = z.strictObject(issuerKeys);

/** Issuer and audience of accepted tokens. `false`: any. */
export type IssuerConfig = Omit<z.output<typeof issuerSchema>, 'issuer' | 'audience'> & {
  readonly issuer: string | false;
  readonly audience: string | false;
};

const jwtSchema = z
  .strictObject({
    ...issuerKeys,
    issuer: z
      .union([text, z.literal(false)], { error: 'expected a text, or false' })
      .describe('The required `iss`. `false`: tokens need not have one, as those of ChartMuseum.'),
    audience: z
      .union([text, z.literal(false)], { error: 'expected a text, or false' })
      .describe(
        'The required `aud`, or one of its values. `false`: tokens need not have it; then those that the key has signed for other services are accepted too.',
      ),
    read: z.array(text).default([]).describe('The words that grant `read`.'),
    write: z.array(text).default([]).describe('The words that grant `write`, which includes `read`.'),
  })
  .refine(hasOneKeySource, { error: ONE_KEY_SOURCE })
  .refine(({ issuer, audience, keyFile }) => keyFile !== undefined || (issuer !== false && audience !== false), {
    error:
      'expected keyFile beside issuer: false and audience: false, for keysUrl has the keys of all tokens of an identity provider',
  });

/** Tokens of an identity provider. */
export type JwtConfig = z.output<typeof jwtSchema>;

const accessSchema = z.strictObject({
  anonymous: choice(['none', 'read', 'write'], 'none').describe('The right of unauthenticated callers.'),
  users: usersOf(userSchema).describe('Users with passwords, by name.'),
  htpasswd: optional(text).describe(
    'A file of users with bcrypt hashes (`htpasswd -B`), who may write. Read again when it changes.',
  ),
  jwt: optional(jwtSchema).describe('Bearer tokens of an identity provider.'),
});

/** Access control of a repository. */
export type AccessConfig = z.output<typeof accessSchema>;

const firstFetchSchema = z.strictObject({
  action: optional(z.enum(['hold', 'allow', 'deny'])).describe(
    '`hold`: the request waits for the reports; `allow`: it is served meanwhile; `deny`: it is refused meanwhile.',
  ),
  deadline: optional(text).describe('How long `hold` waits, such as `25s`.'),
  onTimeout: optional(z.enum(['allow', 'hold', 'deny'])).describe(
    'The action when the deadline passes without reports.',
  ),
});

const repositoryPolicySchema = z.strictObject({
  mode: optional(z.enum(POLICY_MODES)).describe(
    '`off`, `audit` (decided and recorded, but served) or `enforce`. The weakest of policy, repository and rule counts.',
  ),
  preset: optional(z.enum(PRESET_NAMES)).describe(
    'A preset in place of the one of the policy. The rules of the policy override it.',
  ),
  onScanFailure: optional(z.enum(['allow', 'warn', 'hold', 'deny'])).describe(
    'The action when a scanner failed, or its database is too old.',
  ),
  firstFetch: optional(firstFetchSchema).describe(
    'The treatment of bytes that no scanner has judged yet, where a rule needs their reports.',
  ),
});

/** Policy settings of one repository that differ from the server's. */
export type RepositoryPolicyConfig = z.output<typeof repositoryPolicySchema>;

const webhookKeys = {
  url: httpUrl({ credentials: false }).describe('Where events are posted to, as JSON.'),
  secret: optional(z.string().min(16, { error: 'expected a secret of at least 16 characters' })).describe(
    'The key of `Entrepot-Signature` (HMAC-SHA256 of the body). A secret: `${env:…}` or `${file:…}`.',
  ),
  allowPrivate: flag(false).describe('Whether its address may be one of this machine or of a private network.'),
};

const webhookSchema = z.strictObject({
  ...webhookKeys,
  events: z
    .array(z.enum(['denied', 'held', 'newly-vulnerable', 'exception-ending']))
    .min(1, { error: 'expected at least one event' })
    .default(['denied', 'held', 'newly-vulnerable', 'exception-ending'])
    .describe('Which events are posted.'),
});

const serverWebhookSchema = webhookSchema.extend({
  events: z
    .array(z.enum(EVENT_NAMES))
    .min(1, { error: 'expected at least one event' })
    .default([...EVENT_NAMES])
    .describe('Which events are posted.'),
});

/** A webhook, of policy or of the server. */
export type WebhookConfig = z.output<typeof serverWebhookSchema>;

const policySchema = z
  .strictObject({
    file: optional(text).describe(
      'The file with the policy, instead of `defaults` and `rules`. Read again when it changes.',
    ),
    preset: optional(z.enum(PRESET_NAMES)).describe(
      'Rules to start from (`entrepot policy show <preset>` prints them). Overrides that of the file.',
    ),
    mode: optional(z.enum(POLICY_MODES)).describe(
      '`off`, `audit` (decided and recorded, but served) or `enforce`. Overrides that of the file.',
    ),
    defaults: optional(z.record(z.string(), z.unknown())).describe(
      'Settings besides the rules: `onScanFailure`, `firstFetch`, `unknownDate`, `ageSource`.',
    ),
    rules: optional(z.array(z.record(z.string(), z.unknown()))).describe(
      'Rules. One with the id of a rule of the preset overrides it, key by key.',
    ),
    longestException: prefault(duration(), '90d').describe('The longest term of an exception.'),
    exceptionNotice: prefault(duration(), '7d').describe(
      'How long before its end an exception is announced, in the log and by the event `exception-ending`; `0`: not at all.',
    ),
    keepDecisions: prefault(duration(), '30d').describe('How long decisions on requests of clients are kept.'),
    keepDownloads: prefault(duration(), '180d').describe('How long the history of downloads is kept.'),
    webhooks: z.array(webhookSchema).max(10).default([]).describe('Webhooks for events of policy.'),
  })
  .refine(({ file, defaults, rules }) => file === undefined || (defaults === undefined && rules === undefined), {
    error: 'expected either file, or defaults and rules here',
  });

/** The policy, its webhooks, and the retention of its records. */
export type PolicyConfig = z.output<typeof policySchema>;

const scannerKeys = {
  type: text.describe('The scanner: the id of a scanner plugin (`osv`), or its package.'),
  name: optional(name).describe('Its name in reports and metrics. Left out: its id.'),
  where: choice(['server', 'worker'], 'server').describe(
    'The processes that scan and update the database: the server and `entrepot scan-worker`, or workers alone.',
  ),
  scanTimeout: prefault(timeout(), '10m').describe(
    'How long one scan, or one batch of them, may take before it is aborted and retried.',
  ),
  updateInterval: prefault(timeout(), '1h').describe('How often it looks for a newer database.'),
  transport: prefault(transportSchema, {}).describe('Its connections to other servers, unless a program makes them.'),
};

const scannerSchema = withOptions(scannerKeys).transform(({ common, options }) => ({ ...common, options }));

/** A scanner of the configuration. */
export type ScannerConfig = z.output<typeof scannerSchema>;

/** The keys that every scanner has. The other ones are options of its plugin. */
export const COMMON_SCANNER_KEYS: readonly string[] = Object.keys(scannerKeys);

const auditSchema = z.strictObject({
  keepChanges: prefault(age(), '365d').describe('How long records of changes are kept.'),
  keepDenials: prefault(age(), '30d').describe('How long records of denials are kept.'),
  maxRecords: z
    .int()
    .min(1_000)
    .max(10_000_000)
    .default(500_000)
    .describe('The most records that are kept, of changes and of denials each: the newest.'),
  file: optional(text).describe(
    'A file that records are also appended to, one JSON object a line. Opened anew for each batch, so that it can be rotated. Left out: none.',
  ),
  webhooks: z
    .array(z.strictObject(webhookKeys))
    .max(10)
    .default([])
    .describe('Webhooks that records are also posted to, as `{ event: audit, records }`.'),
});

/** The audit log: its bounds, and where else it goes. */
export type AuditConfig = z.output<typeof auditSchema>;

const adminSchema = z.strictObject({
  token: optional(
    z.string().regex(/^[\x21-\x7e]{16,}$/, { error: 'expected a secret of at least 16 characters, without spaces' }),
  ).describe(
    'The bearer token of the administration (`/-/api/v1`). A secret: `${env:…}` or `${file:…}`. Without token, users and jwt the administration is open to users of this machine, and to bearers of the token that is generated at the first start (`admin.token` beside the database).',
  ),
  users: usersOf(z.strictObject(passwordKeys).refine(hasOnePassword, { error: ONE_PASSWORD })).describe(
    'Administrators with passwords, by name. Their decisions are recorded under that name.',
  ),
  jwt: optional(
    z
      .strictObject({
        ...issuerKeys,
        admin: z
          .array(text)
          .min(1, { error: 'expected at least one word' })
          .default(['admin'])
          .describe('The words that grant administration.'),
      })
      .refine(hasOneKeySource, { error: ONE_KEY_SOURCE }),
  ).describe('Bearer tokens of an identity provider. Decisions are recorded under the name of their subject.'),
});

export type AdminConfig = z.output<typeof adminSchema>;

const cleanupRuleSchema = z
  .strictObject({
    names: optional(z.array(text).min(1, { error: 'expected at least one pattern' })).describe(
      'The names that it is about, as in `access.users.<name>.names`: images, charts (behind the name of their tenant), paths of files. Left out: all.',
    ),
    versions: optional(z.array(text).min(1, { error: 'expected at least one pattern' })).describe(
      'The versions or tags that it is about, with `*` for any characters: `pr-*`. Left out: all.',
    ),
    keepVersions: optional(z.int().min(1).max(100_000)).describe(
      'How many versions of each name stay: the newest in the order of the ecosystem, of tags those that were pushed last. Not for files.',
    ),
    notDownloadedFor: optional(age()).describe(
      'How long ago the last upload or download has to be. Such a rule alone also removes files, and images without a tag.',
    ),
    prereleasesOlderThan: optional(age()).describe(
      'How long ago a prerelease has to be uploaded; what is none stays. Not for files and tags.',
    ),
  })
  .refine(
    ({ keepVersions, notDownloadedFor, prereleasesOlderThan }) =>
      [keepVersions, notDownloadedFor, prereleasesOlderThan].some((condition) => condition !== undefined),
    { error: 'expected keepVersions, notDownloadedFor or prereleasesOlderThan' },
  );

const cleanupSchema = z.strictObject({
  interval: prefault(timeout(), '1d').describe('How often the rules are applied.'),
  batchSize: z.int().min(1).max(1000).default(100).describe('The most versions that are removed in one change.'),
  rules: z
    .array(cleanupRuleSchema)
    .min(1, { error: 'expected at least one rule' })
    .describe('Rules. A rule removes what meets all of its conditions. Several rules remove what any of them does.'),
});

/** Cleanup of a hosted repository. */
export type CleanupConfig = z.output<typeof cleanupSchema>;

const repositoryKeys = {
  type: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]*$/, { error: 'expected the id of a protocol plugin, such as npm' })
    .describe('The protocol: the id of a plugin.'),
  kind: choice(['proxy', 'hosted'], 'proxy').describe(
    '`proxy`: has upstreams. `hosted`: this server is the origin; clients publish to it.',
  ),
  enabled: flag(true).describe('`false`: the repository is checked but not served.'),
  description: optional(z.string().trim().min(1).max(500)).describe(
    'A sentence for people, which the start page shows beside its name.',
  ),
  mount: optional(
    z
      .string()
      .refine(isMount, { error: 'expected / or a path such as /npm, without a slash at its end' })
      .refine((mount) => mount !== '/-' && !mount.startsWith('/-/'), {
        error: 'the path /- is reserved for the server itself',
      }),
  ).describe(
    'The path below which it is served. Left out: the one that its protocol fixes, else `/<name>`. The longest mount wins.',
  ),
  listen: optional(listenAddress).describe('A listener of its own. Several repositories may name the same one.'),
  tls: optional(z.union([z.literal(false), tlsSchema])).describe(
    'HTTPS on its own listener; `false`: plain HTTP. Left out: `server.tls`.',
  ),
  access: optional(accessSchema).describe(
    'Access control. Left out: everybody may read, and users of this machine may publish to a hosted one, where its listener is bound to loopback.',
  ),
  publicUrl: optional(publicUrl).describe(
    'The URL under which clients reach this repository, its path included. Left out: `server.publicUrl` and the mount.',
  ),
  upstream: optional(upstreamUrl).describe(
    'The base URL of the upstream. Left out (and no `upstreams`): taken from the settings of the protocol’s clients on this machine. Credentials in it are sent to this origin alone and never shown.',
  ),
  upstreams: optional(z.array(upstreamSchema).min(1, { error: 'expected at least one upstream' })).describe(
    'Several upstreams, tried in this order: URLs, or `{ url, scope, fallback, auth }`. Instead of `upstream`.',
  ),
  // For discovered upstreams too; those in `upstreams` already have it.
  auth: optional(authSchema).describe('Credentials for every upstream that has none of its own.'),
  trustedRealms: prefault(z.array(host), []).describe(
    'Hosts besides the upstream’s own site that may be asked for its tokens, credentials included (`auth.example.com`), where it answers with a `Bearer` challenge.',
  ),
  useClientCredentials: flag(false).describe(
    'Whether credentials in the settings of the protocol’s clients on this machine are used for discovered upstreams.',
  ),
  transport: prefault(transportSchema, {}).describe('How the upstreams are reached.'),
  cache: prefault(z.record(z.string(), freshnessSchema), {}).describe(
    'How long each class of resources is kept; every protocol has classes of its own. What is left out is the class’s default.',
  ),
  coldRange: choice(['auto', 'wait'], 'auto').describe(
    'A far range of a large artifact that is not cached yet: `auto` requests it from the upstream, `wait` waits until those bytes have arrived.',
  ),
  quota: optional(size({ least: 1024 * 1024 })).describe(
    'The most bytes of what this repository keeps. Past it, a proxy evicts what nobody has asked for, and a hosted repository refuses uploads (507). Left out: none but `storage.maxBytes`.',
  ),
  requireIntegrity: flag(false).describe('Whether an artifact that the ecosystem promises no checksum for is refused.'),
  limits: prefault(limitsSchema, {}).describe('Limits of sizes, and of fetches that run at a time.'),
  rateLimit: optional(rateLimitSchema).describe(
    'How much each caller may ask of this repository, besides what `server.rateLimit` says. Who is exempt there is exempt here.',
  ),
  policy: optional(repositoryPolicySchema).describe('Policy settings of this repository that differ from the policy.'),
  cleanup: optional(cleanupSchema).describe(
    'Rules by which a hosted repository removes versions by itself. Left out: none.',
  ),
};

/** The keys that every repository has. The other ones are options of its plugin. */
export const COMMON_REPOSITORY_KEYS: readonly string[] = Object.keys(repositoryKeys);

const repositorySchema = withOptions(repositoryKeys).transform(({ common, options }) => {
  const { upstream, upstreams = upstream && [upstream], ...others } = common;
  return {
    ...others,
    /**
     * In the order in which they are tried. Absent for hosted repositories and where upstreams have to be discovered.
     */
    upstreams: upstreams?.map((one) => (one.auth === undefined && common.auth ? { ...one, auth: common.auth } : one)),
    options,
  };
});

const projectSchema = z.strictObject({
  repositories: z
    .array(name)
    .min(1, { error: 'expected at least one repository' })
    .describe('Its repositories, by name. Each is in one project at the most.'),
  quota: size({ least: 1024 * 1024 }).describe(
    'The most bytes of what they keep together, besides the quotas that they have of their own. Past it, its proxies evict what nobody has asked for; where nothing more can go, uploads are refused (507).',
  ),
});

const clusterSchema = z.strictObject({
  secret: z
    .string()
    .min(32, { error: 'expected a secret of at least 32 characters' })
    .describe('The secret by which servers know each other, the same on all of them: `${env:…}` or `${file:…}`.'),
  listen: prefault(listenAddress, ':8090').describe(
    'Where other servers follow what this one fetches: an address of a network that clients do not reach.',
  ),
  advertise: httpUrl({ credentials: false }).describe(
    'The URL of `listen` for other servers, with an address of this machine: `http://${env:POD_IP}:8090`.',
  ),
});

/** Servers over one database and one store. */
export type ClusterConfig = z.output<typeof clusterSchema>;

export const configSchema = z.strictObject({
  server: prefault(serverSchema, {}).describe('The HTTP server.'),
  storage: prefault(storageSchema, {}).describe('The store of blobs.'),
  metadata: prefault(z.discriminatedUnion('backend', [sqliteMetadataSchema, postgresMetadataSchema]), {}).describe(
    'The database of entries, reports, decisions and downloads.',
  ),
  cache: prefault(z.discriminatedUnion('backend', [memoryCacheSchema, redisCacheSchema]), {}).describe(
    'The cache of frequently requested content. It may be lost at any time.',
  ),
  cluster: optional(clusterSchema).describe(
    'Several servers over one database and one store that fetch everything once. Left out: each fetches for itself.',
  ),
  metrics: prefault(metricsSchema, {}).describe('Metrics for Prometheus.'),
  statistics: prefault(statisticsSchema, {}).describe('Statistics of requests, in the database.'),
  tracing: prefault(tracingSchema, {}).describe('Traces for OpenTelemetry.'),
  log: prefault(logSchema, {}).describe('Logging.'),
  admin: prefault(adminSchema, {}).describe('Administration of the server.'),
  audit: prefault(auditSchema, {}).describe('The audit log of changes and denials.'),
  policy: optional(policySchema).describe('Which versions are allowed. Left out: all.'),
  webhooks: z.array(serverWebhookSchema).max(10).default([]).describe('Webhooks for events of all kinds.'),
  scanners: z.array(scannerSchema).max(20).default([]).describe('Scanners of versions and their bytes.'),
  plugins: z
    .array(
      z.string().refine(isPluginReference, {
        error: 'expected the name of a package, a path that begins with ./, ../ or /, or a file: URL',
      }),
    )
    .default([])
    .describe(
      'Plugins besides the bundled ones: full package names, paths from the folder of this file, or file: URLs.',
    ),
  projects: prefault(z.record(name, projectSchema), {}).describe(
    'Projects, by name: repositories that have a bound together.',
  ),
  repositories: optional(z.record(name, repositorySchema)).describe(
    'The repositories, by name. Left out: one for each bundled plugin whose upstream is known.',
  ),
});

/** The configuration as the schema returns it: paths are still relative to its folder. */
export type ParsedConfig = z.output<typeof configSchema>;

/** The configuration: durations in milliseconds, sizes in bytes, defaults filled in, paths absolute. */
export interface Config extends Omit<ParsedConfig, 'storage'> {
  readonly storage: ParsedConfig['storage'] & {
    readonly spool: { readonly path: string };
    /** Where the plugin of the store is looked for. */
    readonly pluginsFrom: PluginsFrom;
  };
}

/** The plugins of a configuration, and the folder from which they are resolved. */
export interface PluginsFrom {
  readonly folder: string;
  readonly plugins: readonly string[];
  /** Where they are found that are not in the folder. */
  readonly distribution?: Distribution | undefined;
}

/** One repository of the configuration. */
export type RepositoryConfig = z.output<typeof repositorySchema>;

/** Freshness settings of one class of resources. */
export type FreshnessConfig = z.output<typeof freshnessSchema>;

/** Settings of connections to the upstreams of a repository. */
export type TransportConfig = z.output<typeof transportSchema>;

/** The transport of connections that the configuration has no settings for. */
export const DEFAULT_TRANSPORT: TransportConfig = transportSchema.parse({});

/**
 * The configuration of a repository that names nothing but its type (and what else `input` says, in the file's form).
 * @throws when `input` is not valid: it comes from the code, not from a person.
 */
export function repositoryConfig(input: z.input<typeof repositorySchema>): RepositoryConfig {
  return repositorySchema.parse(input);
}

/** The `Authorization` header for `auth` (RFC 7617 §2, RFC 6750 §2.1). A secret. */
export function authorizationHeader(auth: UpstreamAuth): string {
  if ('token' in auth) return `Bearer ${auth.token}`;
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
}

function withoutCredentials(text: string): UpstreamConfig {
  const url = new URL(text);
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  url.username = '';
  url.password = '';
  const plain = withoutTrailingSlashes(url.href);
  return username === '' && password === '' ? { url: plain } : { url: plain, auth: { username, password } };
}
