import { createHash } from 'node:crypto';
import { asEntrepotError } from '../../api/errors.js';
import { requireMethod } from '../../api/require-method.js';
import type { AdaptContext, AdaptedReply, AdaptReplyContext } from '../../api/protocol.js';
import type { PassedReply } from '../../plugin/classes.js';
import type { PassthroughResource } from '../request/resource.js';
import type { FetchTurns } from '../fetch/fetch-turns.js';
import type { Judge } from '../policy/judge.js';
import { isListed } from '../policy/judgement.js';
import { requireAllowed } from '../policy/verdict.js';
import { cacheStatus, outcomeOf, xCache, type CacheFacts } from '../reply/outcome.js';
import { withDefaults } from '../request/merge-headers.js';
import { readRequestBody } from '../request/request-body.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import { sandboxFor } from '../reply/sandbox.js';
import { readBody } from '../upstream/upstream-reply.js';
import { placeOf, type UpstreamQuery } from '../upstream/query.js';
import type { Upstreams } from '../upstream/upstreams.js';

/** A reply up to this size may be shared; bytes. */
const MAX_SHARED = 1024 * 1024;

/** A shared reply as it is kept. */
interface SharedReply extends AdaptedReply {
  readonly body: string;
}

/** Parts of a repository that passthrough requests share with others. */
export interface PassthroughParts {
  readonly upstreams: Upstreams;
  readonly judge: Judge;
  readonly turns: FetchTurns;
}

/** Serves search and audits: asks the upstream every time. Nothing is kept but, where the protocol says so, the reply for a short while. */
export class PassthroughServing {
  readonly #definition: RepositoryDefinition;
  readonly #services: EngineServices;
  readonly #upstreams: Upstreams;
  readonly #judge: Judge;
  readonly #turns: FetchTurns;

  constructor(
    definition: RepositoryDefinition,
    services: EngineServices,
    { upstreams, judge, turns }: PassthroughParts,
  ) {
    this.#definition = definition;
    this.#services = services;
    this.#upstreams = upstreams;
    this.#judge = judge;
    this.#turns = turns;
  }

  async serve(context: RequestContext, resource: PassthroughResource): Promise<EngineReply> {
    const { request } = context;
    requireMethod(request, [resource.method]);
    for (const coordinates of resource.names ?? []) requireAllowed(this.#judge(context, { kind: 'name', coordinates }));
    const body =
      resource.method === 'POST'
        ? await readRequestBody(request, this.#definition.limits.maxRequestBytes)
        : Buffer.alloc(0);
    const answer = await this.#answered(context, resource, body);
    if (answer !== undefined) return this.#reply(request, resource, { name: 'local' }, answer);
    const shareKey = resource.shareFor === undefined ? undefined : this.#shareKey(context, resource, body);
    const shared = shareKey === undefined ? undefined : await this.#services.hotCache.get(shareKey);
    if (shared !== undefined) {
      const kept = JSON.parse(shared) as SharedReply;
      return this.#reply(request, resource, { name: 'hit' }, { ...kept, body: Buffer.from(kept.body, 'base64') });
    }
    const reply = await this.#turns.run(context, () => this.#exchange(context, resource, body));
    if (shareKey !== undefined && reply.status === 200 && reply.body.length <= MAX_SHARED) {
      const kept: SharedReply = { ...reply, body: Buffer.from(reply.body).toString('base64') };
      await this.#services.hotCache.set(shareKey, JSON.stringify(kept), resource.shareFor ?? 0);
    }
    return this.#reply(request, resource, { name: 'bypass' }, reply);
  }

  /** The reply from the database of a scanner, in the shape of the upstream's. */
  async #answered(
    context: RequestContext,
    resource: PassthroughResource,
    body: Buffer,
  ): Promise<AdaptedReply | undefined> {
    const { answer } = this.#services;
    const { adapt } = resource;
    if (answer === undefined || adapt?.answerPath === undefined) return undefined;
    try {
      const adapted = adapt.request(body, { leaves: false, admits: () => true });
      const question = { method: resource.method === 'POST' ? 'POST' : 'GET', path: adapt.answerPath } as const;
      const reply = await answer({ ...question, body: adapted.body ?? body });
      if (reply === undefined) return undefined;
      const bytes = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
      const passed = { status: reply.status, headers: { 'content-type': reply.mediaType }, body: bytes };
      return adapt.reply(passed, this.#replying(context, body));
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `A passthrough hook of plugin ${this.#definition.plugin.id} failed`);
    }
  }

  async #exchange(context: RequestContext, resource: PassthroughResource, body: Buffer): Promise<AdaptedReply> {
    const { request } = context;
    const { adapt } = resource;
    try {
      const adapted = adapt?.request(body, this.#leaving(context));
      const mediaType = adapted?.mediaType ?? request.header('content-type');
      const reply = await this.#ask({
        method: adapted?.method ?? resource.method,
        ...placeOf(adapted === undefined ? resource : { ...resource, upstreamPath: adapted.upstreamPath }),
        headers: {
          accept: resource.accept ?? '*/*',
          'accept-encoding': 'identity',
          ...(resource.method === 'POST' && mediaType !== undefined && { 'content-type': mediaType }),
        },
        body: resource.method === 'POST' ? (adapted?.body ?? body) : undefined,
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(this.#definition.limits.totalTimeout)]),
        skipUnhealthy: false,
      });
      return adapt?.reply(reply, this.#replying(context, body)) ?? { ...reply, headers: undefined };
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `A passthrough hook of plugin ${this.#definition.plugin.id} failed`);
    }
  }

  async #ask(query: UpstreamQuery): Promise<PassedReply & { readonly mediaType: string }> {
    const reply = await this.#upstreams.fetch(query);
    const { status, headers } = reply;
    return {
      status,
      headers,
      mediaType: headers['content-type'] ?? 'application/octet-stream',
      body: await readBody(reply, reply.url, this.#definition.limits.maxDocumentBytes),
    };
  }

  #reply(request: EngineRequest, { name }: PassthroughResource, facts: CacheFacts, reply: AdaptedReply): EngineReply {
    const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : Buffer.from(reply.body);
    return {
      status: reply.status,
      // A plugin adds headers, and takes none of these away.
      headers: withDefaults(
        {
          'Content-Type': reply.mediaType,
          'Content-Length': String(body.length),
          'Cache-Control': 'no-store',
          'X-Cache': xCache(facts.name),
          'Cache-Status': cacheStatus(facts),
          'X-Content-Type-Options': 'nosniff',
          ...sandboxFor(reply.mediaType),
        },
        reply.headers,
      ),
      body: request.method === 'HEAD' ? undefined : body,
      outcome: outcomeOf(this.#definition.name, name, facts),
    };
  }

  #leaving(context: RequestContext): AdaptContext {
    return {
      leaves: true,
      admits: (coordinates) => this.#judge(context, { kind: 'name', coordinates }).outcome === 'allow',
    };
  }

  #replying({ request: { baseUrl }, now }: RequestContext, requestBody: Uint8Array): AdaptReplyContext {
    const admits: AdaptReplyContext['admits'] = (coordinates, description) => {
      const { judgement } = this.#judge({ now }, { kind: 'version', coordinates, description });
      return judgement === undefined || isListed(judgement);
    };
    return { requestBody, baseUrl, admits };
  }

  /** An adapted reply depends on the client's base URL and the policy, too. */
  #shareKey(
    { request: { baseUrl } }: RequestContext,
    { name, upstreamPath, upstreamScope }: PassthroughResource,
    body: Buffer,
  ): string {
    const hash = createHash('sha256')
      .update(`${upstreamScope ?? ''} ${upstreamPath} ${baseUrl} ${this.#services.policy.revision()}\n`)
      .update(body)
      .digest('hex');
    return `passthrough:${this.#definition.name}:${name}:${hash}`;
  }
}
