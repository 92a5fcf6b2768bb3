import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { Standing } from '../fetch/freshness.js';
import type { Stored } from '../fetch/shared-flight.js';
import { judgeKept } from '../fetch/judge-kept.js';
import type { JudgedReply } from '../reply/hot-replies.js';
import type { CacheFacts } from '../reply/outcome.js';
import { respond } from '../reply/respond.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply } from '../request/request.js';
import type { ServingParts } from './serving.js';

/** Serves kept copies, once policy has judged them. */
export class KeptServing {
  readonly #parts: ServingParts;

  constructor(parts: ServingParts) {
    this.#parts = parts;
  }

  /** @returns `undefined` when the copy turns out to be damaged: then there is none. */
  async serve(
    context: RequestContext,
    resource: Stored,
    entry: Entry,
    facts: CacheFacts,
    warning?: string,
  ): Promise<EngineReply | undefined> {
    return (await this.judged(context, resource, entry, facts, warning))?.reply;
  }

  /** Serves the kept copy, and tells what policy said of it. */
  async judged(
    context: RequestContext,
    resource: Stored,
    entry: Entry,
    facts: CacheFacts,
    warning?: string,
  ): Promise<(JudgedReply & { readonly changesAt: number | undefined }) | undefined> {
    const { decisions, representations } = this.#parts;
    const judgement = await judgeKept(this.#parts, context, resource, entry);
    const shown = await representations.kept(context.request, resource, entry, facts, judgement);
    if (shown === undefined) return undefined;
    let reply: EngineReply;
    try {
      reply = await respond(context.request, { ...shown, warning });
    } catch (error) {
      // It has gone, or changed its size, since it was last looked at.
      if (error instanceof EntrepotError && error.code === 'BLOB_MISSING') return representations.missing(entry);
      throw error;
    }
    decisions.record(context, resource, judgement);
    return { reply, judgement, changesAt: shown.changesAt };
  }

  /** Serves the kept copy however old it is, or nothing: the upstream is not asked. */
  async only(
    context: RequestContext,
    resource: Stored,
    kept: Entry | undefined,
    state: Standing | undefined,
  ): Promise<EngineReply> {
    const facts: CacheFacts = { name: 'stale', ttl: state?.ttl, detail: 'kept only' };
    const own = kept && (await this.serve(context, resource, kept, facts));
    const reply = own ?? (await this.fromKeys(context, resource, facts));
    if (reply !== undefined) return reply;
    throw new EntrepotError('not-found', 'temporarily unavailable: only what is kept was asked for', {
      code: 'NOT_KEPT',
    });
  }

  /** Serves the document as far as what is kept below it tells; `undefined` where that is nothing. */
  async fromKeys(context: RequestContext, resource: Stored, facts: CacheFacts): Promise<EngineReply | undefined> {
    const { definition, representations, services } = this.#parts;
    if (!resource.isRendered || resource.keptBelow === undefined) return undefined;
    const { keys } = await services.storage.entries.keys.find(definition.name, resource.keptBelow);
    if (keys.length === 0) return undefined;
    try {
      return await respond(
        context.request,
        await representations.rewritten(context.request, resource, undefined, undefined, facts),
      );
    } catch (error) {
      if (error instanceof EntrepotError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }
}
