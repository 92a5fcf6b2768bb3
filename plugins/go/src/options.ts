import { withoutTrailingSlashes } from '@entrepot/core';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { CredentialSettings } from './credentials.js';
import { parseDatabase, type DatabaseSetting } from './database-setting.js';
import type { DirectRoute } from './direct.js';
import { modulePatterns, type ModulePatterns } from './module-match.js';

/** Makes a transform of a parser that throws. */
function parsed<Text, Value>(parse: (text: Text) => Value, expected = '') {
  return (text: Text, context: z.RefinementCtx): Value => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: expected + (error as Error).message });
      return z.NEVER;
    }
  };
}

const patterns = z
  .union([z.string(), z.array(z.string())])
  .transform(parsed((value: string | string[]) => modulePatterns([value].flat().join(','))));

const database = z
  .string()
  .transform(
    parsed(
      (text: string) => [parseDatabase(text) ?? []].flat(),
      'expected off, a known name or a verifier key as in GOSUMDB: ',
    ),
  );

/** The largest number of checksum databases: each takes memory for its tiles. */
const MOST_DATABASES = 8;

const databases = z
  .array(database)
  .min(1)
  .max(MOST_DATABASES)
  .transform((all, context): readonly DatabaseSetting[] => {
    const found = all.flat();
    const names = new Set(found.map(({ verifier }) => verifier.name));
    if (found.length === all.length && names.size === found.length) return found;
    context.addIssue({ code: 'custom', message: 'expected different databases, and off only by itself' });
    return z.NEVER;
  });

/** A user or a password: nothing that would break a line of git's credential protocol. */
const secret = z.string().regex(/^[^\0\r\n]+$/, { error: 'expected one line of text' });

const host = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9.-]+(?::[0-9]+)?$/, { error: 'expected a host, or host:port, without a scheme' });

const privateKey = z.string().transform((text, context): KeyObject => {
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // The reason may quote the key.
  }
  context.addIssue({ code: 'custom', message: 'expected an RSA private key as PEM' });
  return z.NEVER;
});

const apiUrl = z
  .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
  .transform(withoutTrailingSlashes);

const githubApp = z.strictObject({
  /** The id or client id of the app. */
  appId: z.union([z.int().transform(String), z.string().regex(/^[A-Za-z0-9.]+$/, { error: 'expected an id' })]),
  /** Its private key, as PEM. A secret: `${file:…}`. */
  privateKey,
  /** The id of the installation. Left out: looked up for each repository. */
  installation: z
    .union([z.int().transform(String), z.string().regex(/^[0-9]+$/, { error: 'expected a number' })])
    .optional(),
  /** The API of GitHub, or of a GitHub Enterprise Server: `https://<host>/api/v3`. */
  apiUrl: apiUrl.default('https://api.github.com'),
});

/** Credentials of one kind. */
const credentials = z.strictObject({
  /** A user and a password for the hosts. */
  username: secret.optional(),
  /** A secret: `${env:…}` or `${file:…}`. */
  password: secret.optional(),
  /** A token, as a forge gives them: a password for which the user does not matter. A secret: `${env:…}` or `${file:…}`. */
  token: secret.optional(),
  /** The text of a netrc file, with a login for each `machine`. A secret: `${file:…}`. */
  netrc: z.string().optional(),
  /** A GitHub App, with tokens of an hour for each repository. */
  githubApp: githubApp.optional(),
  /** The hosts that are told the credentials, and no other is. Left out: the hosts of `match`. */
  hosts: z.array(host).min(1).optional(),
});

const route = z
  .strictObject({
    /** The modules, as in `GOPRIVATE`: globs by path elements, as a list or separated by commas. */
    match: patterns.refine(({ text }) => text.replaceAll(/[,/\s]/g, '') !== '', { error: 'expected a pattern' }),
    /** They are private, and fetched from their repositories by the `go` and `git` of this machine. */
    direct: z.literal(true),
    /** The credentials for the hosts of the repositories. */
    credentials: credentials.optional(),
    /** Whether plain http will do for these modules, also for credentials. */
    insecure: z.boolean().default(false),
  })
  .transform(({ match, insecure, credentials: given }, context): DirectRoute => {
    if (given === undefined) return { match, insecure, credentials: undefined };
    const settings = credentialSettings(given, match);
    if (typeof settings !== 'string') return { match, insecure, credentials: settings };
    context.addIssue({ code: 'custom', path: ['credentials'], message: settings });
    return z.NEVER;
  });

/** The settings, or what is wrong with them. */
function credentialSettings(
  { username, password, token, netrc, githubApp: app, hosts: given }: z.output<typeof credentials>,
  match: ModulePatterns,
): CredentialSettings | string {
  const ways = [username ?? password, token, netrc, app].filter((way) => way !== undefined);
  if (ways.length !== 1 || (username === undefined) !== (password === undefined)) {
    return 'expected one of: username and password, token, netrc, githubApp';
  }
  if (netrc !== undefined) {
    return given === undefined ? { kind: 'netrc', text: netrc } : 'a netrc names its hosts itself: expected no hosts';
  }
  const hosts = given ?? literalHosts(match);
  if (hosts === undefined) return 'expected hosts: a pattern of match does not say which';
  if (app !== undefined) return { kind: 'github-app', hosts, app: { ...app, installation: app.installation } };
  if (token !== undefined) return { kind: 'basic', hosts, username: 'x-access-token', password: token };
  return { kind: 'basic', hosts, username: username as string, password: password as string };
}

/** The first elements of the patterns, where all of them are names. */
function literalHosts({ text }: ModulePatterns): readonly string[] | undefined {
  const firsts = text.split(',').map((glob) => (glob.trim().split('/', 1)[0] as string).toLowerCase());
  const hosts = [...new Set(firsts.filter((first) => first !== ''))];
  return hosts.some((one) => /[*?[\\]/.test(one)) ? undefined : hosts;
}

/** The options of a Go module repository. Absent ones are as `go env` of this machine says. */
export const goOptions = z.strictObject({
  sumdb: z
    .union([database, databases])
    .optional()
    .describe(
      'The checksum database that modules are verified with, as in `GOSUMDB`: `off`, a name whose key `go` knows, or a verifier key. Of a list, modules are verified with the first; clients may ask any. Default: as `go env` says.',
    ),
  serveSumdb: z
    .boolean()
    .default(true)
    .describe(
      'Whether clients may ask the checksum databases here (`/sumdb/<name>/`). `false`: modules are verified all the same, and clients go to their database themselves.',
    ),
  index: z
    .boolean()
    .default(false)
    .describe(
      'Whether clients may list the versions that are kept (`/index?since=<time>&limit=<number>`, as the public module index does), private ones among them. It takes the right to read the repository as a whole.',
    ),
  unverified: patterns
    .optional()
    .describe(
      'Modules that are verified with no database (`GONOSUMDB`): patterns, as a list or separated by commas. Their names are never sent to one. Default: as `go env` says.',
    ),
  private: patterns
    .optional()
    .describe(
      'Private modules (`GONOPROXY`): patterns. They are asked only of upstreams whose scope matches them, and verified with no database. Without such an upstream they are not found here, so that clients with `,direct` go where they are. Default: as `go env` says.',
    ),
  processes: z
    .int()
    .min(1)
    .max(64)
    .default(4)
    .describe('How many `go`, with the `git` that each starts, fetch for `routes` at a time.'),
  routes: z
    .array(route)
    .default([])
    .describe(
      'Private modules that are fetched from their repositories, by the `go` and `git` of this machine: `{ match, direct: true, credentials, insecure }`. The first route that matches a module decides, before the scopes of upstreams.',
    ),
});

/** The parsed options. */
export type GoOptions = z.output<typeof goOptions>;
