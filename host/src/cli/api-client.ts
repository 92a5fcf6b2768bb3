import { basicAuthorization, withoutTrailingSlashes } from '@entrepot/core';
import { isRecord, parseJson } from '@entrepot/core/formats';
import { isAdministrationNamed } from '../admin/administration.js';
import { adminTokenFileOf, readSecret } from '../access/secret-file.js';
import { ConfigurationError } from '../config/configuration-error.js';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { configOptions, type ConfigPlace, type CommandContext } from './context.js';

/** Which server a command talks to. */
export interface ServerOptions {
  readonly config?: string;
  readonly server?: string;
  /** An administrator, whose password is on standard input. */
  readonly user?: string;
}

/** The administration of a running server. */
export interface ApiClient {
  /** @throws Error with what the server said */
  ask<Answer>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Answer>;
  /** The same as text. */
  askText(path: string): Promise<string>;
}

/** The error where no server answers. */
export class NoServerError extends Error {}

const TIMEOUT = 120_000;

/**
 * Finds the server: `--server`, else where the configuration says that it listens; with the password of `--user`, else the token of
 * the configuration, else that of `ENTREPOT_ADMIN_TOKEN`, else the one that the server made.
 */
export async function apiClient(
  { config: file, server, user }: ServerOptions,
  context: CommandContext,
): Promise<ApiClient> {
  const { base, token } = await serverPlace(file, server, context);
  const authorization =
    user === undefined ? token && `Bearer ${token}` : basicAuthorization(user, firstLine(await context.readInput()));
  return {
    ask: async (method, path, body) => JSON.parse((await send(method, path, body)) || '{}'),
    askText: (path) => send('GET', path),
  };

  async function send(method: string, path: string, body?: unknown): Promise<string> {
    const url = `${base}/-/api/v1${path}`;
    let answer: Response;
    try {
      answer = await fetch(url, {
        method,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT),
        headers: {
          ...(authorization !== undefined && { authorization }),
          ...(body !== undefined && { 'Content-Type': isYaml(body) ? 'application/yaml' : 'application/json' }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
    } catch (error) {
      const code = (error as { readonly cause?: NodeJS.ErrnoException }).cause?.code ?? 'no answer';
      throw new NoServerError(`no server answers at ${base} (${code}); start it, or name another with --server`, {
        cause: error,
      });
    }
    const text = await answer.text();
    if (!answer.ok)
      throw new Error(
        detailOf(text) ||
          `expected an answer of Entrepot at ${base}, found the status ${answer.status}; check --server`,
      );
    return text;
  }
}

/** Whether a body is a file that somebody wrote in YAML. */
function isYaml(body: unknown): boolean {
  return typeof body === 'string' && parseJson(body) === undefined;
}

/** The detail of an error (RFC 9457); all of another answer. */
function detailOf(text: string): string {
  const problem = parseJson(text);
  return isRecord(problem) && typeof problem['detail'] === 'string' ? problem['detail'] : text.trim();
}

/** A query of those parameters that are given. */
export function queryOf(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

/** A time in milliseconds since the epoch, for people. */
export function instant(at: number): string {
  return new Date(at).toISOString();
}

/**
 * The first line of standard input.
 * @throws Error when it is empty
 */
export function firstLine(input: string): string {
  const [line = ''] = input.split(/\r?\n/);
  if (line === '') throw new Error('expected a password on standard input, found nothing; pipe it in');
  return line;
}

/** Where the server is that a command talks to, and the token for it. */
export async function serverPlace(
  file: string | undefined,
  server: string | undefined,
  place: ConfigPlace,
): Promise<{ readonly base: string; readonly token: string | undefined }> {
  const given = place.env['ENTREPOT_ADMIN_TOKEN'] || undefined;
  try {
    const { config } = await loadConfig(configOptions(file, place));
    const { listen, tls } = config.server;
    const host =
      listen.host === undefined || listen.host === '0.0.0.0' || listen.host === '::' ? '127.0.0.1' : listen.host;
    const base = `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${listen.port}`;
    return { base: trimmed(server ?? base), token: config.admin.token ?? given ?? (await madeToken(config, server)) };
  } catch (error) {
    // Who names a server need not have its configuration.
    if (server === undefined || file !== undefined || !(error instanceof ConfigurationError)) throw error;
    return { base: trimmed(server), token: given };
  }
}

/** The token that the server made, where this is its machine and it had to: it goes to no other server. */
async function madeToken(config: Config, server: string | undefined): Promise<string | undefined> {
  if (server !== undefined || isAdministrationNamed(config.admin)) return undefined;
  // Without it users of this machine may administer, too.
  return await readSecret(adminTokenFileOf(config)).catch(() => undefined);
}

function trimmed(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new Error('--server: expected an http:// or https:// URL');
  return withoutTrailingSlashes(url);
}
