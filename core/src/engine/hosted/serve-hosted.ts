import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { ArtifactResource, DocumentResource, ListingResource } from '../request/resource.js';
import type { ContentFindings } from '../policy/content-findings.js';
import type { DecisionRecorder } from '../policy/decision-recorder.js';
import type { Judge } from '../policy/judge.js';
import { requireAllowed, requireSettled } from '../policy/verdict.js';
import { missing } from './hosted-changes.js';
import { HostedDocuments } from './hosted-documents.js';
import { HotReplies, plainHotKey } from '../reply/hot-replies.js';
import { judgeKept } from '../fetch/judge-kept.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply } from '../request/request.js';
import type { EngineServices, RepositoryDefinition } from '../store/repository.js';
import type { Representations } from '../reply/representations.js';
import { respond } from '../reply/respond.js';

/** Parts of a hosted repository that serve what it has. */
export interface HostedServingContext {
  readonly definition: RepositoryDefinition;
  readonly services: EngineServices;
  readonly judge: Judge;
  readonly contents: ContentFindings;
  readonly decisions: DecisionRecorder;
  readonly representations: Representations;
}

/** Serves what a hosted repository has: we are the origin. */
export class HostedServing {
  readonly #context: HostedServingContext;
  readonly #documents: HostedDocuments;
  readonly #hot = new HotReplies();

  constructor(context: HostedServingContext) {
    this.#context = context;
    this.#documents = new HostedDocuments(context);
  }

  async serve(
    context: RequestContext,
    resource: ArtifactResource | DocumentResource | ListingResource,
  ): Promise<EngineReply> {
    const { definition, services, judge } = this.#context;
    const known = services.storage.entries.revision(definition.name);
    const revision = typeof known === 'number' ? known : await known;
    if (resource.kind === 'listing') {
      const { coordinates } = resource;
      if (coordinates !== undefined) requireAllowed(judge(context, { kind: 'version', resource, coordinates }));
      await requireSettled(judge(context, { kind: 'sidecar', resource, coordinates }));
      return await this.#documents.serve(context.request, resource, revision);
    }
    const ready = this.#ready(context, resource);
    if (ready !== undefined) return ready;
    const entry = await services.storage.entries.find(definition.name, resource.key);
    if (entry === undefined) throw missing(resource.key);
    return await this.#serveKept(context, resource, entry);
  }

  async #serveKept(
    context: RequestContext,
    resource: ArtifactResource | DocumentResource,
    entry: Entry,
  ): Promise<EngineReply> {
    const { decisions, judge, services, representations } = this.#context;
    const { request } = context;
    const revision = services.policy.revision();
    const judgement = await judgeKept({ judge }, context, resource, entry);
    const now = services.clock.now();
    const shown = await representations.kept(request, resource, entry, { name: 'hit' }, judgement);
    if (shown === undefined)
      throw new EntrepotError('storage', `The blob of ${resource.key} is missing`, { code: 'BLOB_MISSING' });
    const reply = await respond(request, shown);
    decisions.record(context, resource, judgement);
    if (isPlain(resource) && HotReplies.suits(request)) {
      this.#hot.set(
        this.#hotKey(context, resource, entry),
        entry,
        revision,
        { now, until: Infinity },
        { reply, judgement },
      );
    }
    return reply;
  }

  #hotKey({ caller }: RequestContext, resource: ArtifactResource | DocumentResource, { coordinates }: Entry): string {
    const key = plainHotKey(resource, caller.name);
    return resource.sidecar === true ? `${this.#context.contents.mark(coordinates)} ${key}` : key;
  }

  /** Finds the reply that was given to others a moment ago. */
  #ready(context: RequestContext, resource: ArtifactResource | DocumentResource): EngineReply | undefined {
    const { decisions, definition, services } = this.#context;
    const { request } = context;
    if (!isPlain(resource) || !HotReplies.suits(request)) return undefined;
    const entry = services.storage.entries.peek(definition.name, resource.key);
    if (entry === undefined) return undefined;
    const revision = services.policy.revision();
    const hot = this.#hot.get(this.#hotKey(context, resource, entry), request, entry, revision, services.clock.now());
    if (hot === undefined) return undefined;
    services.storage.entries.accessed(entry);
    decisions.record(context, resource, hot.judgement);
    return hot.reply;
  }
}

/** Whether the bytes are sent as they are kept. */
function isPlain(resource: ArtifactResource | DocumentResource): boolean {
  return resource.kind === 'artifact' || !resource.isRendered;
}
