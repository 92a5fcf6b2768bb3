import { EntrepotError, type Access, type Caller } from '@entrepot/core';
import { KeyCaller } from './key-caller.js';
import type { IssuedToken, RepositoryTokens } from './repository-tokens.js';
import type { AccessEntry } from './token-claims.js';

/** Scopes of one request; more are an attempt at something else. */
const MAX_SCOPES = 64;
const ACTIONS: ReadonlySet<string> = new Set(['pull', 'push', 'delete']);

/** A repository that tokens are given out for. */
export interface TokenRepository {
  readonly name: string;
  readonly access: Access;
  /** Whether clients know its names without its own in front: it has its mount to itself. */
  readonly plainNames: boolean;
}

interface Wanted {
  readonly repository: TokenRepository;
  readonly name: string | undefined;
  readonly actions: readonly string[];
}

/**
 * Issues tokens as registries of container images do (distribution.github.io/distribution/spec/auth/token): clients
 * name the scopes that they need, and get a token for those that they may use. Unauthenticated callers get one for what
 * is open to everybody.
 * @param repositories of the listener
 * @param authorization Basic credentials, or nothing
 * @param scopes `repository:hub/nginx:pull,push`, one or several in each text
 * @throws EntrepotError `unauthorized` for credentials that no repository of the listener knows; `bad-request` for too
 * many scopes
 */
export async function issueToken(
  repositories: readonly TokenRepository[],
  tokens: RepositoryTokens,
  authorization: string | undefined,
  scopes: readonly string[],
): Promise<IssuedToken> {
  if (authorization !== undefined && !/^basic /i.test(authorization))
    throw new EntrepotError('unauthorized', 'Authorization: expected Basic credentials, or none');
  const asked = scopes.flatMap((scope) => scope.split(' ')).filter((scope) => scope !== '');
  if (asked.length > MAX_SCOPES) throw new EntrepotError('bad-request', `scope: expected at most ${MAX_SCOPES}`);
  const wanted = asked.flatMap((scope) => wantedOf(scope, repositories));
  const places = new Set(wanted.map(({ repository }) => repository));
  const callers =
    authorization === undefined
      ? new Map<TokenRepository, Caller>()
      : await identify(authorization, repositories, places);
  const access: AccessEntry[] = [];
  for (const { repository, name, actions } of wanted) {
    const caller = callers.get(repository) ?? (await repository.access.authenticate(undefined));
    const granted = actions.filter((action) => caller.may({ right: action === 'pull' ? 'read' : 'write', name }));
    const fullName = name === undefined ? repository.name : `${repository.name}/${name}`;
    if (granted.length > 0) access.push({ type: 'repository', name: fullName, actions: granted });
  }
  const caller = [...callers.values()].find(({ name }) => name !== undefined);
  const subject = caller instanceof KeyCaller ? caller.subject : caller?.name;
  return await tokens.issue({ subject, access });
}

/** Authenticates the caller at every wanted repository that accepts the credentials, else at any one of the others. */
async function identify(
  authorization: string,
  repositories: readonly TokenRepository[],
  wanted: ReadonlySet<TokenRepository>,
): Promise<ReadonlyMap<TokenRepository, Caller>> {
  const callers = new Map<TokenRepository, Caller>();
  const knowing = repositories.filter(({ access }) => access.knowsCallers);
  let refusal: unknown;
  for (const repository of knowing.toSorted((one, other) => Number(wanted.has(other)) - Number(wanted.has(one)))) {
    if (callers.size > 0 && !wanted.has(repository)) break;
    try {
      callers.set(repository, await repository.access.authenticate(authorization));
    } catch (error) {
      if (!(error instanceof EntrepotError) || error.status !== 401) throw error;
      refusal = error;
    }
  }
  if (callers.size === 0 && refusal !== undefined) throw refusal;
  return callers;
}

/** Parses `scope`. Empty for scopes of other registries, which clients send as well. */
function wantedOf(scope: string, repositories: readonly TokenRepository[]): Wanted[] {
  const [, path = '', words = ''] = /^repository:(.+):([a-z,*]*)$/.exec(scope) ?? [];
  if (path === '') return [];
  const asked = words.split(',');
  const actions = asked.includes('*') ? [...ACTIONS] : asked.filter((word) => ACTIONS.has(word));
  // A token that was made to remove may be used to push: the right is the same.
  if (actions.includes('delete') && !actions.includes('push')) actions.push('push');
  const [first = '', ...rest] = path.split('/');
  const name = rest.length === 0 ? undefined : rest.join('/');
  return repositories.flatMap((repository) => [
    ...(repository.name === first ? [{ repository, name, actions }] : []),
    ...(repository.plainNames ? [{ repository, name: path, actions }] : []),
  ]);
}
