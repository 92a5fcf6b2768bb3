import type { KeyPage, KeyView, MadeKey } from '../admin/key-operations.js';
import { apiClient, instant, queryOf, type ApiClient, type ServerOptions } from './api-client.js';
import { EXIT, type CommandContext } from './context.js';
import { printAnswer } from './print-answer.js';
import { printTable } from './table.js';
import { whoAmI } from './who-am-i.js';

type Scope = KeyView['scopes'][number];

/** Options of the commands for keys. Each has those that it needs. */
export interface KeyOptions extends ServerOptions {
  readonly scope?: readonly string[];
  readonly expires?: string;
  readonly note?: string;
  readonly by?: string;
  readonly json?: boolean;
}

/** Makes a key. Its secret is the last line, so that a script can take it. */
export async function createKey(name: string, options: KeyOptions, context: CommandContext): Promise<number> {
  const { scope = [], expires, note } = options;
  const client = await apiClient(options, context);
  const scopes = scope.map(scopeOf);
  const made = await client.ask<MadeKey>('POST', '/keys', { name, scopes, expires, note, by: whoAmI(options) });
  if (options.json !== true)
    context.writeError(`key ${made.key.name} (${made.key.id}); its secret is shown this once:`);
  printAnswer(made, [made.secret], options, context);
  return EXIT.ok;
}

export async function listKeys(options: KeyOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  const keys: KeyView[] = [];
  for await (const key of allKeys(client)) keys.push(key);
  const rows = keys.map(({ name, id, scopes, expiresAt, usedAt, createdBy = '' }) => [
    name,
    id,
    scopes.map(printScope).join(' '),
    expiresAt === undefined ? 'never' : instant(expiresAt),
    usedAt === undefined ? 'never' : instant(usedAt),
    createdBy,
  ]);
  const table = printTable(['name', 'id', 'scopes', 'expires', 'last use', 'by'], rows);
  printAnswer({ keys }, [rows.length === 0 ? 'there are no keys' : table], options, context);
  return EXIT.ok;
}

/** Changes a key. @param which its name, or its id */
export async function limitKey(which: string, options: KeyOptions, context: CommandContext): Promise<number> {
  const { scope, expires } = options;
  const client = await apiClient(options, context);
  const { id } = await findKey(client, which);
  const end = expires === 'never' ? null : expires;
  const key = await client.ask<KeyView>('PATCH', `/keys/${id}`, { scopes: scope?.map(scopeOf), expires: end });
  printAnswer(key, [`${key.name}: ${key.scopes.map(printScope).join(' ')}`], options, context);
  return EXIT.ok;
}

/** Revokes a key. @param which its name, or its id */
export async function revokeKey(which: string, options: KeyOptions, context: CommandContext): Promise<number> {
  const client = await apiClient(options, context);
  const { id } = await findKey(client, which);
  const key = await client.ask<KeyView>('DELETE', `/keys/${id}`);
  printAnswer(key, [`revoked ${key.name} (${key.id})`], options, context);
  return EXIT.ok;
}

/** @throws Error when there is none, or it may not be seen */
async function findKey(client: ApiClient, which: string): Promise<KeyView> {
  for await (const key of allKeys(client)) if (key.id === which || key.name === which) return key;
  throw new Error(`there is no key ${which}; entrepot keys list names those that there are`);
}

async function* allKeys(client: ApiClient): AsyncGenerator<KeyView> {
  for (let after: string | undefined; ;) {
    const page = await client.ask<KeyPage>('GET', `/keys${queryOf({ limit: '1000', after })}`);
    yield* page.keys;
    if (page.next === undefined) return;
    after = page.next;
  }
}

/** `read:npm,pypi` or `write:npm:@acme/*`: a name may hold a colon. @throws Error */
function scopeOf(text: string): Scope {
  const [, may = '', repositories = '', names] = /^(read|write|admin):([^:]+)(?::(.+))?$/.exec(text) ?? [];
  if (may === '')
    throw new Error(
      `--scope: expected read, write or admin, a colon and repositories such as read:npm,pypi or write:npm:@acme/*; found ${text}`,
    );
  return {
    may: may as Scope['may'],
    repositories: repositories.split(','),
    ...(names !== undefined && { names: names.split(',') }),
  };
}

function printScope({ may, repositories, names }: Scope): string {
  return [may, repositories.join(','), ...(names === undefined ? [] : [names.join(',')])].join(':');
}
