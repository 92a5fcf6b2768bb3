import type { AccessNeed, Caller } from '../api/access.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import type { AnyDeclaredPlugin } from '../plugin/protocol.js';
import type { LocalResource, BoundResource } from './request/resource.js';
import { printable } from './policy/denial.js';
import { requestHead } from './request/request-head.js';
import type { RequestContext } from './request/request-context.js';
import type { EngineRequest } from './request/request.js';
import type { RepositoryDefinition } from './store/repository.js';

/**
 * Finds the right that `resource` needs. `undefined`: everybody may have it, so nobody has to authenticate.
 * @throws EntrepotError `forbidden` for a change that a page of another site asks for
 */
export function neededFor(
  { access, plugin }: RepositoryDefinition,
  request: EngineRequest,
  resource: BoundResource,
): AccessNeed | undefined {
  if (resource.kind === 'local') return undefined;
  const right = resource.kind === 'upload' || resource.kind === 'session' ? 'write' : 'read';
  const need: AccessNeed = {
    right,
    name: accessNameOf(plugin, resource),
    ...(resource.forAnyName === true && { anyName: true }),
    ...(right === 'write' && ofChange(request)),
  };
  return access.isOpen(need) ? undefined : need;
}

/**
 * Checks the names of what a change puts, where they stood in its body.
 * @throws EntrepotError `forbidden` or `unauthorized` for a caller who may not change one of them
 */
export function authorizeNames(
  definition: RepositoryDefinition,
  { request, caller }: RequestContext,
  names: Iterable<string>,
): void {
  for (const name of names) {
    const need: AccessNeed = { right: 'write', name, ...ofChange(request) };
    if (!definition.access.isOpen(need)) authorize(definition, request, need, caller);
  }
}

/**
 * Finds the caller by the credentials of a request.
 * @throws EntrepotError `unauthorized` when they are wrong, with a challenge
 */
export async function authenticate(
  definition: RepositoryDefinition,
  request: EngineRequest,
  need: AccessNeed,
): Promise<Caller> {
  try {
    return await definition.access.authenticate(credentialsOf(definition, request));
  } catch (error) {
    const { kind, status, message, code } = asEntrepotError(error, 'plugin', 'Checking the credentials failed');
    if (kind !== 'unauthorized' || status !== 401) throw error;
    const headers = invalidToken(challenge(definition, request, need), code, message);
    throw new EntrepotError(kind, message, { code, headers });
  }
}

function credentialsOf({ plugin }: RepositoryDefinition, request: EngineRequest): string | undefined {
  return plugin.http?.credentials?.(requestHead(request, plugin.http)) ?? request.header('authorization');
}

/** @throws EntrepotError `forbidden` or `unauthorized` for a caller who lacks `need` */
export function authorize(
  definition: RepositoryDefinition,
  request: EngineRequest,
  need: AccessNeed,
  caller: Caller,
): void {
  if (caller.may(need)) return;
  const { access, name } = definition;
  const place = need.name === undefined ? `repository ${name}` : `${need.name} in repository ${name}`;
  const what = `${need.right === 'read' ? 'read from' : 'write to'} ${place}`;
  const denied = (message: string): EntrepotError => new EntrepotError('forbidden', message, { code: 'ACCESS_DENIED' });
  if (!access.knowsCallers && access.isOpen({ ...need, isLocal: true }))
    throw denied(`Only users of this machine may ${what}, as long as no access to it is configured`);
  if (!access.knowsCallers) throw denied(`Nobody may ${what}`);
  const headers = challenge(definition, request, need);
  if (caller.name === undefined)
    throw new EntrepotError('unauthorized', `Nobody may ${what} without saying who they are`, { headers });
  if (caller.mayWithNewToken?.(need) !== true) throw denied(`${caller.name} may not ${what}`);
  throw new EntrepotError('unauthorized', `The token was not made to ${what}`, {
    code: 'TOKEN_INSUFFICIENT',
    headers: insufficient(headers),
  });
}

function challenge(
  { access, protocol }: RepositoryDefinition,
  request: EngineRequest,
  need: AccessNeed,
): Record<string, string> {
  return { 'WWW-Authenticate': protocol.challenge(need, request) ?? access.challenge(need) };
}

/** Says what is wrong with a token, also where the format's own errors do not (RFC 6750 §3). */
function invalidToken(headers: Record<string, string>, code: string, message: string): Record<string, string> {
  const { 'WWW-Authenticate': value = '' } = headers;
  if (code !== 'TOKEN_REFUSED' || !value.startsWith('Bearer ')) return headers;
  const description = printable(message).replaceAll(/["\\]/g, "'");
  return { 'WWW-Authenticate': `${value},error="invalid_token",error_description="${description}"` };
}

/** Tells clients that know to ask for another token that this is what they have to do (RFC 6750 §3.1). */
function insufficient({ 'WWW-Authenticate': value = '' }: Record<string, string>): Record<string, string> {
  return { 'WWW-Authenticate': value.startsWith('Bearer ') ? `${value},error="insufficient_scope"` : value };
}

function accessNameOf(
  { names }: AnyDeclaredPlugin,
  resource: Exclude<BoundResource, LocalResource>,
): string | undefined {
  if (resource.accessName !== undefined || names?.pattern === undefined) return resource.accessName;
  return 'coordinates' in resource ? resource.coordinates?.name : undefined;
}

/**
 * Adds the conditions for a request that changes something.
 * @throws EntrepotError `forbidden` for a page of another site: a browser sends passwords along by itself
 */
function ofChange({ sender }: EngineRequest): Pick<AccessNeed, 'isLocal'> {
  if (sender !== 'foreign-page') return { isLocal: sender === 'this-machine' };
  throw new EntrepotError(
    'forbidden',
    'A browser sent this for a page of another site, or of a name that is not in server.publicUrl: nothing is changed',
    { code: 'FOREIGN_PAGE' },
  );
}
