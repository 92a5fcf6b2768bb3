import type { AccessNeed, Caller } from '../api/access.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import type { ProtocolPlugin } from '../api/protocol.js';
import type { ArtifactResource, DocumentResource, LocalResource, Resource } from '../api/resource.js';
import { Admission } from './policy/admission.js';
import { printable } from './policy/denial.js';
import { describeVersions } from './proxy/describe-versions.js';
import { withDefaults } from './request/merge-headers.js';
import { redirectReply } from './reply/redirect-reply.js';
import { readPart } from './proxy/read-part.js';
import { errorReply } from './reply/error-reply.js';
import { Flights } from './fetch/flights.js';
import { HostedChanges } from './hosted/hosted-changes.js';
import { HostedSessions } from './hosted/hosted-sessions.js';
import { localReply } from './reply/local-reply.js';
import { NegativeCache } from './store/negative-cache.js';
import { requestHead } from './request/request-head.js';
import { parseRequestPath, withoutEmptySegments } from './request/request-path.js';
import type { EngineReply, EngineRequest } from './request/request.js';
import type { EngineServices, RepositoryDefinition, RepositoryEngine } from './store/repository.js';
import { Representations } from './reply/representations.js';
import { HostedServing } from './hosted/serve-hosted.js';
import { PassthroughServing } from './proxy/serve-passthrough.js';
import { StoredServing } from './proxy/serve-stored.js';
import { Upstreams } from './upstream/upstreams.js';

/** The form of a document that stands in by itself: looked for in the cache alone, without another form. */
function asCached(form: DocumentResource & { asCached?(): DocumentResource }): DocumentResource {
  return form.asCached?.() ?? { ...form, otherwise: undefined, keptOnly: true };
}

/** Makes the pipeline of one repository. */
export function createRepository(definition: RepositoryDefinition, services: EngineServices): RepositoryEngine {
  const upstreams = new Upstreams(definition, services);
  const admission = new Admission(definition, services);
  const negative = new NegativeCache(services.hotCache, services.clock, definition.name);
  const flights = new Flights({ definition, services, upstreams, admission, negative });
  const representations = new Representations({ definition, services, flights, admission });
  const stored = new StoredServing({ definition, services, upstreams, flights, admission, negative, representations });
  const hosted = new HostedServing({ definition, services, admission, representations });
  const changes = new HostedChanges({ definition, services, admission });
  const sessions = new HostedSessions({ definition, services, changes });
  const passthrough = new PassthroughServing(definition, services, upstreams, admission);

  async function serve(request: EngineRequest, resource: Resource, caller: Caller): Promise<EngineReply> {
    switch (resource.kind) {
      case 'artifact':
      case 'document':
        requireReading(request);
        return await serveKept(request, resource, caller);
      case 'passthrough':
        return await passthrough.serve(request, resource);
      case 'upload':
        return await changes.change(request, resource, caller);
      case 'session':
        return await sessions.step(request, resource, caller);
      case 'local':
        return localReply(definition.name, request, resource);
    }
  }

  async function serveKept(
    request: EngineRequest,
    resource: ArtifactResource | DocumentResource,
    caller: Caller,
  ): Promise<EngineReply> {
    const serving = definition.kind === 'hosted' ? hosted : stored;
    if (resource.kind === 'artifact') return await serving.serve(request, resource);
    try {
      return await serving.serve(request, resource);
    } catch (error) {
      const failure = asEntrepotError(error, 'plugin', `Serving ${resource.key} failed`);
      const { otherwise, whenRefused } = resource;
      if (failure.kind === 'policy-denied' && whenRefused !== undefined)
        return localReply(definition.name, request, whenRefused);
      if (otherwise === undefined) throw failure;
      return await serveOtherwise(request, otherwise, caller, failure);
    }
  }

  /** The other form of a document. While nobody can say which form there is, the first one that is kept stands in. */
  async function serveOtherwise(
    request: EngineRequest,
    otherwise: DocumentResource | LocalResource,
    caller: Caller,
    failure: EntrepotError,
  ): Promise<EngineReply> {
    if (failure.kind === 'not-found') return await serve(request, otherwise, caller);
    if (!failure.staleAllowed) throw failure;
    let form: DocumentResource | LocalResource | undefined = otherwise;
    for (; form?.kind === 'document'; form = form.otherwise) {
      try {
        return await serveKept(request, asCached(form), caller);
      } catch {
        // What is not kept says less than the outage does.
      }
    }
    throw failure;
  }

  /** Who asks where nobody has to say so. */
  const nobody: Caller = { may: (need) => definition.access.isOpen(need) };
  const { replyHeaders } = definition.plugin;
  function withHeaders(reply: EngineReply): EngineReply {
    return replyHeaders === undefined ? reply : { ...reply, headers: withDefaults(reply.headers, replyHeaders) };
  }

  return {
    definition,
    ready(request) {
      if (definition.kind === 'hosted' || request.method !== 'GET') return undefined;
      // Credentials are looked at also where nobody needs them: wrong ones are refused, and the log names the caller.
      if (request.header('authorization') !== undefined) return undefined;
      try {
        const resource = route(definition, request);
        if (resource.kind !== 'artifact' && resource.kind !== 'document') return undefined;
        if (!definition.access.isOpen({ right: 'read', name: resource.accessName })) return undefined;
        const reply = stored.ready(request, resource);
        return reply && withHeaders(reply);
      } catch {
        // `handle` meets it again, and says it.
        return undefined;
      }
    },
    async handle(request) {
      let resource: Resource | undefined;
      try {
        resource = route(definition, request);
        const caller = await authorize(definition, request, resource, nobody, admission);
        const reply = withHeaders(await serve(request, resource, caller));
        return caller === nobody ? reply : withCaller(forCallersOnly(reply), caller.name);
      } catch (error) {
        const redirect = redirectReply(definition.name, request, error);
        if (redirect !== undefined) return withHeaders(redirect);
        admission.recordRefusal(request, resource, error);
        const failed = withHeaders(errorReply(definition, request, resource, error));
        const reply = withCaller(failed, admission.callerOf(request));
        if (reply.status >= 500)
          services.logger.warn(
            { error, repository: definition.name, path: request.rawPath, status: reply.status },
            'request failed',
          );
        return reply;
      }
    },
    describe: (subject, { keptOnly = false } = {}) =>
      describeVersions({ definition, services, flights, admission }, subject, keptOnly),
    part: (whole, part) => readPart({ definition, flights }, whole, part),
    flights: () => flights.count,
    async dispose(grace) {
      await flights.dispose(grace);
      await definition.protocol.dispose?.();
    },
  };
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

/** What the request names. */
function route({ protocol, plugin }: RepositoryDefinition, request: EngineRequest): Resource {
  const { method, rawPath, rawQuery } = request;
  const isRead = method === 'GET' || method === 'HEAD';
  const path = plugin.dotSegments === 'redirect' && isRead ? withoutEmptySegments(rawPath) : undefined;
  if (path !== undefined) {
    // Safe, or it is refused as any other.
    parseRequestPath(path);
    // Relative, so that mounts and proxies in front need not be known.
    const up = '../'.repeat(rawPath.split('/').length - 2);
    const Location = `${up}${path.slice(1)}${rawQuery === '' ? '' : `?${rawQuery}`}`;
    return { kind: 'local', status: 308, headers: { Location } };
  }
  const head = requestHead(request, plugin);
  try {
    const resource = protocol.route(head);
    if (resource !== undefined) return safely(resource, request);
  } catch (error) {
    throw asEntrepotError(error, 'plugin', `route of plugin ${plugin.id} failed`);
  }
  throw new EntrepotError('not-found', 'Nothing is served under this path', { code: 'NO_ROUTE' });
}

/**
 * GET and HEAD change nothing (RFC 9110 §9.2.1), whatever a plugin makes of them: browsers, crawlers and proxies send them
 * unasked, and nothing that guards changes looks at them.
 */
function safely(resource: Resource, { method }: EngineRequest): Resource {
  const isChange = resource.kind === 'upload' || (resource.kind === 'session' && resource.action !== 'status');
  if (!isChange || (method !== 'GET' && method !== 'HEAD')) return resource;
  throw new EntrepotError('method-not-allowed', `${method} changes nothing; expected POST, PUT, PATCH or DELETE`);
}

/**
 * The pipeline's authenticate step: what nobody may without a name needs one, and then the right.
 * @returns who asks; without a name where nobody was asked for it
 */
async function authorize(
  { access, name, protocol, plugin }: RepositoryDefinition,
  request: EngineRequest,
  resource: Resource,
  nobody: Caller,
  admission: Admission,
): Promise<Caller> {
  if (resource.kind === 'local') return nobody;
  const right = resource.kind === 'upload' || resource.kind === 'session' ? 'write' : 'read';
  const need: AccessNeed = {
    right,
    name: accessNameOf(plugin, resource),
    ...(resource.forAnyName === true && { anyName: true }),
    ...(right === 'write' && ofChange(request)),
  };
  if (access.isOpen(need)) return nobody;
  const challenge = (): Record<string, string> => ({
    'WWW-Authenticate': protocol.challenge?.(need, request) ?? access.challenge(need),
  });
  let caller: Caller;
  try {
    caller = await access.authenticate(request.header('authorization'));
  } catch (error) {
    const { kind, status, message, code } = asEntrepotError(error, 'plugin', 'Checking who asks failed');
    if (kind !== 'unauthorized' || status !== 401) throw error;
    throw new EntrepotError(kind, message, { code, headers: invalidToken(challenge(), code, message) });
  }
  if (caller.name !== undefined) admission.noteCaller(request, caller.name);
  if (caller.may(need)) return caller;
  const place = need.name === undefined ? `repository ${name}` : `${need.name} in repository ${name}`;
  const what = `${right === 'read' ? 'read from' : 'write to'} ${place}`;
  const denied = (message: string): EntrepotError => new EntrepotError('forbidden', message, { code: 'ACCESS_DENIED' });
  if (!access.knowsCallers && access.isOpen({ ...need, isLocal: true }))
    throw denied(`Only users of this machine may ${what}, as long as no access to it is configured`);
  if (!access.knowsCallers) throw denied(`Nobody may ${what}`);
  if (caller.name === undefined)
    throw new EntrepotError('unauthorized', `Nobody may ${what} without saying who they are`, { headers: challenge() });
  if (caller.mightYet?.(need) !== true) throw denied(`${caller.name} may not ${what}`);
  throw new EntrepotError('unauthorized', `The token was not made to ${what}`, {
    code: 'TOKEN_INSUFFICIENT',
    headers: insufficient(challenge()),
  });
}

function accessNameOf({ accessNames }: ProtocolPlugin, resource: Exclude<Resource, LocalResource>): string | undefined {
  if (resource.accessName !== undefined || accessNames === undefined) return resource.accessName;
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

/** Replies may be shared by those who ask for the same. */
function withCaller(reply: EngineReply, caller: string | undefined): EngineReply {
  return caller === undefined ? reply : { ...reply, outcome: { ...reply.outcome, caller } };
}

/** A cache between us and the clients must not give to everybody what only some may have (RFC 9111 §5.2.2.9). */
function forCallersOnly(reply: EngineReply): EngineReply {
  const { 'Cache-Control': control } = reply.headers;
  if (control === undefined || !control.startsWith('public')) return reply;
  return { ...reply, headers: { ...reply.headers, 'Cache-Control': control.replace('public', 'private') } };
}

function requireReading({ method }: EngineRequest): void {
  if (method === 'GET' || method === 'HEAD') return;
  throw new EntrepotError('method-not-allowed', `${method} is not possible here; expected GET or HEAD`, {
    headers: { Allow: 'GET, HEAD' },
  });
}
