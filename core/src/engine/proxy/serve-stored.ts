import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import { isForOthers } from '../fetch/asking.js';
import type { FetchTurn } from '../fetch/fetch-turns.js';
import { freshnessRule, standing, type Standing } from '../fetch/freshness.js';
import { judgeKept } from '../fetch/judge-kept.js';
import type { Stored } from '../fetch/shared-flight.js';
import type { Waiting } from '../fetch/wait-limit.js';
import { isJudgedByName } from '../policy/subject.js';
import { requireAllowed } from '../policy/verdict.js';
import { HotReplies } from '../reply/hot-replies.js';
import type { CacheFacts } from '../reply/outcome.js';
import type { RequestContext } from '../request/request-context.js';
import type { EngineReply } from '../request/request.js';
import { isPinned } from '../store/pinned-name.js';
import { headOfUpstream } from './head-of-upstream.js';
import { FlightServing } from './serve-flight.js';
import { KeptServing } from './serve-kept.js';
import { fliesAlone, type ServingParts } from './serving.js';

/** Serves artifacts and documents of a proxy: from the copy that is kept, or through a flight. */
export class StoredServing {
  readonly #parts: ServingParts;
  readonly #kept: KeptServing;
  readonly #flight: FlightServing;
  readonly #hot: HotReplies;

  constructor(parts: ServingParts) {
    this.#parts = parts;
    this.#kept = new KeptServing(parts);
    this.#flight = new FlightServing(parts, this.#kept);
    this.#hot = new HotReplies(parts);
  }

  async serve(context: RequestContext, resource: Stored): Promise<EngineReply> {
    const { definition, services } = this.#parts;
    const ready = this.ready(context, resource);
    if (ready !== undefined) return ready;
    if (isJudgedByName(resource)) this.#requireName(context, resource);
    const rule = freshnessRule(this.#parts, resource);
    if (rule.policy === 'bypass' && !resource.keptOnly) return await this.#flight.alone(context, resource);
    const isAlsoElsewhere = resource.isOneCopy && services.cluster !== undefined;
    const known = isAlsoElsewhere ? undefined : services.storage.entries.peek(definition.name, resource.key);
    const entry = known ?? (await this.#find(resource, isAlsoElsewhere));
    if (entry === undefined) return await this.#serveThroughFlight(context, resource, rule, undefined, undefined);
    const state = standing(entry, rule, services.clock.now());
    if (isForOthers(entry, resource)) return await this.#serveOther(context, resource, rule, entry, state);
    if (!state.fresh) {
      await judgeKept(this.#parts, context, resource, entry);
      return await this.#serveThroughFlight(context, resource, rule, entry, state);
    }
    const place = this.#hot.placeOf(context, resource, entry);
    const served = await this.#kept.judged(context, resource, entry, { name: 'hit', ttl: state.ttl });
    if (served === undefined) return await this.#serveThroughFlight(context, resource, rule, undefined, undefined);
    const until = Math.min(state.freshUntil, served.changesAt ?? Infinity);
    if (place !== undefined) this.#hot.keep(place, until, served);
    return served.reply;
  }

  /** Finds the kept copy. While the index cannot be read, the upstream may still have it. */
  async #find(resource: Stored, isAlsoElsewhere: boolean): Promise<Entry | undefined> {
    const { definition, services } = this.#parts;
    const { entries } = services.storage;
    try {
      if (isAlsoElsewhere) return await entries.newest(definition.name, resource.key);
      return await entries.find(definition.name, resource.key);
    } catch (error) {
      if (resource.keptOnly) throw error;
      services.logger.error({ error, repository: definition.name, key: resource.key }, 'the index cannot be read');
      return undefined;
    }
  }

  /** Finds the reply that was given to others a moment ago. */
  ready(context: RequestContext, resource: Stored): EngineReply | undefined {
    return this.#hot.ready(context, resource);
  }

  async #serveThroughFlight(
    context: RequestContext,
    resource: Stored,
    rule: FreshnessRule,
    kept: Entry | undefined,
    state: Standing | undefined,
  ): Promise<EngineReply> {
    if (resource.keptOnly) return await this.#kept.only(context, resource, kept, state);
    const { fetching, negative } = this.#parts;
    const { flights } = fetching;
    const running = flights.running(resource);
    if (running?.isAhead === true) {
      // Others have the whole already: for this client it is a hit as soon as it is kept.
      await running.done.catch(() => {});
      return await this.serve(context, resource);
    }
    if (kept !== undefined && state !== undefined) {
      const stale: CacheFacts = { name: 'stale', ttl: state.ttl, detail: 'refreshing' };
      if (state.whileRevalidating || (running !== undefined && rule.busy === 'stale')) {
        fetching.reader.refresh(resource, kept);
        const reply = await this.#kept.serve(context, resource, kept, stale);
        if (reply !== undefined) return reply;
      }
    }
    const staleAfter = kept !== undefined && state?.ifError === true ? rule.staleAfter : Infinity;
    const waiting: Waiting = { key: resource.key, staleAfter };
    let turn: FetchTurn | undefined;
    try {
      if (running !== undefined && kept !== undefined && rule.busy === 'bypass')
        return await this.#flight.alone(context, resource, waiting);
      // No upstream hears of a name that policy refuses.
      if (kept === undefined) this.#requireName(context, resource);
      await negative.check(resource.key);
      turn = await fetching.turns.next(context, resource);
      if (kept === undefined && !fliesAlone(resource)) await fetching.policy.judged(resource, context);
      if (
        context.request.method === 'HEAD' &&
        running === undefined &&
        kept === undefined &&
        !resource.isRendered &&
        !isPinned(resource) &&
        fliesAlone(resource)
      ) {
        const reply = await headOfUpstream(this.#parts, context, resource);
        if (reply !== undefined) return reply;
      }
      const flight = fetching.turns.join(turn, resource, kept);
      return await this.#flight.serve(context, resource, kept, flight, running !== undefined, waiting);
    } catch (error) {
      return await this.#serveInstead(context, resource, rule, kept, state, error);
    } finally {
      turn?.end();
    }
  }

  #requireName(context: RequestContext, { coordinates }: Stored): void {
    requireAllowed(this.#parts.judge(context, { kind: 'name', coordinates }));
  }

  /**
   * Serves the variant that the upstream chooses for this client, where the cached copy was chosen for others. Serves the
   * cached copy while the upstream is down.
   */
  async #serveOther(
    context: RequestContext,
    resource: Stored,
    rule: FreshnessRule,
    kept: Entry,
    state: Standing,
  ): Promise<EngineReply> {
    if (resource.keptOnly) return await this.#kept.only(context, resource, kept, state);
    try {
      return await this.#flight.alone(context, resource);
    } catch (error) {
      return await this.#serveInstead(context, resource, rule, kept, state, error);
    }
  }

  /** Stale beats an outage; a kept artifact also outlives its upstream (architecture §6.6, §12). */
  async #serveInstead(
    context: RequestContext,
    resource: Stored,
    rule: FreshnessRule,
    kept: Entry | undefined,
    state: Standing | undefined,
    error: unknown,
  ): Promise<EngineReply> {
    const { negative } = this.#parts;
    const failure = asEntrepotError(error, 'plugin', `Serving ${resource.key} failed`);
    const gone = failure.kind === 'not-found';
    if (gone) await negative.remember(resource.key, failure, rule);
    else await negative.rememberFault(resource.key, failure);
    // An outage of our own, or a fault of the plugin, is no better reason to withhold it than an outage of the upstream.
    const outage = failure.staleAllowed || failure.kind === 'storage' || failure.kind === 'plugin';
    const usable = gone ? rule.onGone === 'keep' : outage && state?.ifError === true;
    if (kept !== undefined && usable) {
      const facts: CacheFacts = { name: 'stale', ttl: state?.ttl, detail: failure.code };
      const warning =
        this.#parts.definition.plugin.http?.warnsStale === true
          ? `This copy may be out of date: ${failure.message}`
          : undefined;
      const reply = await this.#kept.serve(context, resource, kept, facts, warning);
      if (reply !== undefined) return reply;
    }
    // The bytes of the copy are lost: there is nothing but what the flight brings.
    if (failure.code === 'UPSTREAM_SLOW') {
      const flight = this.#parts.fetching.flights.join(resource, undefined);
      return await this.#flight.serve(context, resource, undefined, flight, true);
    }
    if (gone || failure.staleAllowed) {
      const reply = await this.#kept.fromKeys(context, resource, { name: 'stale', detail: failure.code });
      if (reply !== undefined) return reply;
    }
    if (failure.staleAllowed && kept === undefined) await negative.standIn(resource.key);
    throw failure;
  }
}
