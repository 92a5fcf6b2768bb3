import type { Caller } from '../api/access.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import { requireMethod } from '../api/require-method.js';
import type {
  AliasResource,
  ArtifactResource,
  BoundResource,
  DocumentResource,
  ListingResource,
} from './request/resource.js';
import type { LocalReply } from '../plugin/resource.js';
import { authenticate, authorize, neededFor } from './authorize.js';
import { ContentFindings } from './policy/content-findings.js';
import { createDecisionRecorder } from './policy/decision-recorder.js';
import { createJudge } from './policy/judge.js';
import { describeVersions } from './proxy/describe-versions.js';
import { withDefaults } from './request/merge-headers.js';
import { heal } from './proxy/heal.js';
import { readPart } from './proxy/read-part.js';
import { AliasResolution, keysOfAlias } from './proxy/resolve-alias.js';
import { createRoots } from './proxy/roots.js';
import { errorReply } from './reply/error-reply.js';
import { Fetching } from './fetch/fetching.js';
import { createCleanup } from './hosted/cleanup.js';
import { createHostedChanges } from './hosted/hosted-changes.js';
import { createSessionHandler } from './hosted/hosted-sessions.js';
import { localReply, redirectReply } from './reply/local-reply.js';
import { ForgetfulCache } from './store/forgetful-cache.js';
import { createNegativeCache } from './store/negative-cache.js';
import { countRequest } from './request/caller-limits.js';
import { keysAt } from './request/keys-at.js';
import type { RequestContext } from './request/request-context.js';
import { Routing } from './request/routing.js';
import type { EngineReply, EngineRequest } from './request/request.js';
import type { EngineServices, RepositoryDefinition, RepositoryEngine } from './store/repository.js';
import { createRepresentations } from './reply/representations.js';
import { createHostedHandler } from './hosted/serve-hosted.js';
import { PassthroughServing } from './proxy/serve-passthrough.js';
import { StoredServing } from './proxy/serve-stored.js';
import { Upstreams } from './upstream/upstreams.js';

function contextOf(request: EngineRequest, caller: Caller, now: number): RequestContext {
  return { request, caller, client: request.client, now };
}

/** Makes the pipeline of one repository. */
export function createRepository(definition: RepositoryDefinition, given: EngineServices): RepositoryEngine {
  const hotCache = new ForgetfulCache(given.hotCache, definition.sameAs);
  const services: EngineServices = { ...given, hotCache };
  const routing = new Routing(definition);
  const upstreams = new Upstreams(definition, services);
  const contents = new ContentFindings(definition.name, services.scanDesk, services.logger);
  const judge = createJudge(definition, services, contents);
  const decisions = createDecisionRecorder(definition, services);
  const negative = createNegativeCache(hotCache, services.clock, definition.name);
  const flying = { definition, services, upstreams, judge, negative };
  const fetching = new Fetching(flying);
  const reading = { definition, services, fetching, negative };
  const judging = { definition, services, contents, judge };
  const resolving = { ...reading, ...judging };
  const serving = { ...judging, decisions, representations: createRepresentations(judging, fetching) };
  const stored = new StoredServing({ ...serving, upstreams, fetching, negative });
  const serveHosted = createHostedHandler(serving);
  const changes = createHostedChanges(serving);
  const stepSession = createSessionHandler(serving, changes);
  const passthrough = new PassthroughServing(definition, services, { upstreams, judge, turns: fetching.turns });

  async function serve(context: RequestContext, resource: BoundResource): Promise<EngineReply> {
    const { request } = context;
    switch (resource.kind) {
      case 'artifact':
      case 'listing':
        requireMethod(request, ['GET']);
        return await serveStored(context, resource);
      case 'document':
        requireMethod(request, ['GET']);
        return await serveDocument(context, resource);
      case 'passthrough':
        return await passthrough.serve(context, resource);
      case 'alias':
        // `handle` has resolved it.
        throw new EntrepotError('plugin', `The alias ${resource.key} led to another one`);
      case 'upload':
        return await changes.change(context, resource);
      case 'session':
        return await stepSession(context, resource);
      case 'local':
        return localReply(definition.name, request, resource);
    }
  }

  function serveStored(
    context: RequestContext,
    resource: ArtifactResource | DocumentResource | ListingResource,
  ): Promise<EngineReply> {
    if (definition.kind === 'hosted') return serveHosted(context, resource);
    // Only hosted repositories have classes of listings.
    return stored.serve(context, resource as ArtifactResource | DocumentResource);
  }

  async function serveDocument(context: RequestContext, resource: DocumentResource): Promise<EngineReply> {
    try {
      return await serveStored(context, resource);
    } catch (error) {
      const failure = asEntrepotError(error, 'plugin', `Serving ${resource.key} failed`);
      const { alternative, refusal } = resource;
      if (failure.kind === 'policy-denied' && refusal !== undefined)
        return localReply(definition.name, context.request, refusal);
      if (alternative === undefined) throw failure;
      return await serveAlternative(context, alternative, failure);
    }
  }

  /** The other form of a document. While it is unknown which form the upstream has, the first cached one is served. */
  async function serveAlternative(
    context: RequestContext,
    alternative: DocumentResource | LocalReply,
    failure: EntrepotError,
  ): Promise<EngineReply> {
    if (failure.kind !== 'not-found' && !failure.staleAllowed) throw failure;
    let form: DocumentResource | LocalReply | undefined = alternative;
    if (failure.kind === 'not-found')
      return 'status' in form ? localReply(definition.name, context.request, form) : await serveDocument(context, form);
    for (; form !== undefined && !('status' in form); form = form.alternative) {
      try {
        return await serveStored(context, form.asCached());
      } catch {
        // What is not kept says less than the outage does.
      }
    }
    throw failure;
  }

  /** @param note told of each resource that the alias turns out to stand for */
  async function serveAlias(
    context: RequestContext,
    alias: AliasResource,
    note: (found: BoundResource) => void,
  ): Promise<EngineReply> {
    const { request, caller } = context;
    requireMethod(request, ['GET']);
    const resolution = new AliasResolution(resolving, context, alias);
    const serveFound = async (found: BoundResource): Promise<EngineReply> => {
      note(found);
      const need = neededFor(definition, request, found);
      if (need !== undefined) authorize(definition, request, need, caller);
      const reply = await serve(context, found);
      return { ...reply, headers: withDefaults(reply.headers, resolution.replyHeaders) };
    };
    const found = await resolution.find();
    try {
      return await serveFound(found);
    } catch (error) {
      return await serveFound(await resolution.findAfter(found, error));
    }
  }

  /** The caller of requests that need no authentication. */
  const nobody: Caller = { may: (need) => definition.access.isOpen(need) };
  const replyHeaders = definition.plugin.http?.replyHeaders;
  function withHeaders(reply: EngineReply): EngineReply {
    return replyHeaders === undefined ? reply : { ...reply, headers: withDefaults(reply.headers, replyHeaders) };
  }

  const { callerLimits } = definition;
  /** Requests for which there was no ready reply. */
  const counted = new WeakSet<EngineRequest>();
  /** Counts a request that failed before its caller was known, such as one with a wrong password, for its address. */
  function afterCounting(request: EngineRequest, error: unknown): unknown {
    try {
      countRequest(callerLimits, request);
      return error;
    } catch (excess) {
      return excess;
    }
  }

  return {
    definition,
    ready(request) {
      if (definition.kind === 'hosted' || request.method !== 'GET') return undefined;
      // Credentials are looked at also where nobody needs them: wrong ones are refused, and the log names the caller.
      if (request.header('authorization') !== undefined) return undefined;
      try {
        const resource = routing.route(request);
        if (resource.kind !== 'artifact' && resource.kind !== 'document') return undefined;
        if (!definition.access.isOpen({ right: 'read', name: resource.accessName })) return undefined;
        countRequest(callerLimits, request);
        const reply = stored.ready(contextOf(request, nobody, services.clock.now()), resource);
        if (reply === undefined && callerLimits !== undefined) counted.add(request);
        return reply && withHeaders(reply);
      } catch {
        // `handle` meets it again, and says it.
        return undefined;
      }
    },
    async handle(request) {
      let resource: BoundResource | undefined;
      let context = contextOf(request, nobody, services.clock.now());
      let isCounted = counted.has(request);
      try {
        resource = routing.route(request);
        const need = neededFor(definition, request, resource);
        if (need !== undefined) context = { ...context, caller: await authenticate(definition, request, need) };
        isCounted = true;
        if (!counted.has(request)) countRequest(callerLimits, request, context.caller.name);
        if (need !== undefined) authorize(definition, request, need, context.caller);
        const served =
          resource.kind === 'alias'
            ? await serveAlias(context, resource, (found) => (resource = found))
            : await serve(context, resource);
        const reply = withHeaders(served);
        return need === undefined ? reply : withCaller(forCallersOnly(reply), context.caller.name);
      } catch (thrown) {
        const error = isCounted ? thrown : afterCounting(request, thrown);
        const redirect = redirectReply(definition.name, request, error);
        if (redirect !== undefined) return withHeaders(redirect);
        decisions.recordRefusal(context, resource, error);
        const failed = withHeaders(errorReply(definition, request, resource, error));
        const reply = withCaller(failed, context.caller.name);
        if (reply.status >= 500)
          services.logger.warn(
            { error, repository: definition.name, path: request.rawPath, status: reply.status },
            'request failed',
          );
        return reply;
      }
    },
    describe: (subject, { keptOnly = false } = {}) =>
      describeVersions({ definition, services, fetching, judge }, subject, keptOnly),
    part: (whole, part) => readPart({ definition, fetching }, whole, part),
    roots: createRoots(reading),
    cleanup: createCleanup(serving),
    heal: (entry, signal) => heal(flying, entry, signal),
    async keysAt(place) {
      const keys = await keysAt(routing, place, (alias) => keysOfAlias(resolving, alias, services.clock.now()));
      return { repository: definition.name, keys };
    },
    async forget(what) {
      fetching.flights.outdate((resource) => what?.takes(resource) ?? resource.kind === 'document');
      fetching.forgetAll();
      if (what?.keys === undefined) return hotCache.forgetAll();
      for (const key of what.keys) await negative.forget(key);
    },
    flights: () => fetching.flights.count,
    async dispose(grace) {
      await fetching.flights.dispose(grace);
      await definition.protocol.dispose();
    },
  };
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
