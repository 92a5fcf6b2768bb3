import { Readable } from 'node:stream';
import type { Entry, Fence } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import { untilAborted } from '../../formats/until-aborted.js';
import { inTime, LATE } from '../store/in-time.js';
import type { EngineServices } from '../store/repository.js';
import type { FlightEnd, FlightLease, FollowedFlight, RelayedReply, RelayedBody } from '../store/flight-coordinator.js';
import { isForOthers } from './asking.js';
import type { FlightContext, FlightResult, Stored } from './shared-flight.js';

/** The time that a fetch waits for the end of another process's before it follows that one's body; milliseconds. */
const ATTACH_AFTER = 50;

/** The time that a body which is all here waits for the process that publishes it; milliseconds. */
const PUBLISHED_WITHIN = 60_000;
/** Kinds of failures that are an answer of the upstreams: another process would get the same one. */
const ANSWERS: ReadonlySet<string> = new Set([
  'not-found',
  'upstream-unavailable',
  'unauthorized',
  'forbidden',
  'integrity',
]);
/** Codes of failures that are of this process alone. */
const OWN: ReadonlySet<string> = new Set(['SHUTTING_DOWN', 'ABANDONED', 'FIRST_COPY_STAYS']);

/** The code of an error: another process has the lease by now. */
export const LEASE_LOST = 'LEASE_LOST';

/** `error`, where another process would get the same one. */
function answerOf(error: unknown): EntrepotError | undefined {
  const isAnswer = error instanceof EntrepotError && ANSWERS.has(error.kind) && !OWN.has(error.code);
  return isAnswer ? (error as EntrepotError) : undefined;
}

/** Whether `error` says that another process has the lease by now. */
export function isLeaseLost(error: unknown): boolean {
  return error instanceof EntrepotError && error.code === LEASE_LOST;
}

/**
 * The part that one fetch has in its cluster: it leads, and publishes; or it follows another process, and takes what that one
 * publishes. Where the other one goes, it takes over.
 */
export class ClusterPart {
  readonly #context: FlightContext;
  readonly #resource: Stored;
  readonly #name: string;
  readonly #signal: AbortSignal;
  /** The entry that was known before. A newer one was brought by somebody else. */
  readonly #known: Entry | undefined;
  /** Whether a body is followed as it comes: nobody has a copy to wait with. */
  readonly #isStreamed: boolean;
  #role: FlightLease | FollowedFlight | undefined;
  #body: RelayedBody | undefined;
  #isOver = false;

  /** @param kept the copy that is revalidated */
  constructor(context: FlightContext, resource: Stored, kept: Entry | undefined, signal: AbortSignal) {
    this.#context = context;
    this.#resource = resource;
    this.#name = flightName(context.definition.name, [resource.key, ...variantOf(resource)]);
    this.#signal = signal;
    this.#known = kept ?? context.services.storage.entries.peek(context.definition.name, resource.key);
    this.#isStreamed = kept === undefined;
  }

  /** Whether another process fetches. */
  get follows(): boolean {
    return this.#role?.role === 'follower';
  }

  /** Names the lease of this process, where it has one. */
  get fence(): Fence | undefined {
    return this.#role?.role === 'leader' ? this.#role.fence : undefined;
  }

  /**
   * Takes the lead, or joins the process that has it.
   * @returns what that one has brought meanwhile; `undefined`: it is to be fetched, or followed
   * @throws the answer that another process got
   */
  async begin(): Promise<FlightResult | undefined> {
    for (;;) {
      const role = await this.#enter();
      if (role?.role !== 'follower') {
        const brought = role === undefined || role.isFirst ? undefined : await this.#brought();
        if (brought !== undefined) this.end();
        return brought;
      }
      const end = await this.#endOf(role, this.#isStreamed ? ATTACH_AFTER : undefined);
      if (end === LATE) return undefined;
      const brought = await this.#broughtBy(end);
      if (brought !== undefined) return brought;
    }
  }

  /** The body that another process receives. `undefined` where it cannot be followed. */
  async follow(): Promise<RelayedReply | undefined> {
    const role = this.#role;
    return role?.role === 'follower' ? await role.open(0, this.#signal) : undefined;
  }

  /** Waits for the result of the followed process. `undefined`: it has none. @throws the answer that it got */
  async outcome(): Promise<FlightResult | undefined> {
    const role = this.#role;
    if (role?.role !== 'follower') return undefined;
    return await this.#broughtBy((await this.#endOf(role)) as FlightEnd);
  }

  /** Lets others follow the body that comes, now and whenever this process takes the lead. */
  offer(body: RelayedBody): void {
    this.#body = body;
    if (this.#role?.role === 'leader') this.#role.offer(body);
  }

  /**
   * The rest of a followed body that broke off at `from`: from whoever has the lead, or from the store.
   * @returns `undefined` where this process has the lead: it asks the upstream
   */
  async rest(from: number): Promise<Readable | undefined> {
    for (;;) {
      const role = this.#role;
      if (role?.role !== 'follower') return undefined;
      const reply = await role.open(from, this.#signal);
      if (reply !== undefined) return reply.body;
      const end = (await this.#endOf(role)) as FlightEnd;
      if (end.failure !== undefined) throw end.failure;
      const entry = await this.#newer();
      const kept = entry && (await this.#restOf(entry, from));
      if (kept !== undefined) return kept;
      await this.#enter();
    }
  }

  /**
   * The entry that another process has published of a body that is all here. `undefined`: this process publishes.
   * @throws EntrepotError `integrity` with the code `FIRST_COPY_STAYS` where that is another artifact
   */
  async published(entry: Entry): Promise<Entry | undefined> {
    for (;;) {
      const role = this.#role;
      if (role === undefined || role.role === 'leader') return undefined;
      const end = await this.#endOf(role, PUBLISHED_WITHIN);
      const found = await this.#newer();
      if (found !== undefined) return this.#same(found, entry);
      if (end === LATE) return undefined;
      await this.#enter();
    }
  }

  /** Another process has the lease by now: what it publishes counts. */
  async lost(entry: Entry): Promise<Entry | undefined> {
    this.#role = undefined;
    const role = await this.#enter();
    if (role?.role === 'follower') return await this.published(entry);
    const found = await this.#newer();
    return found && this.#same(found, entry);
  }

  #same(found: Entry, entry: Entry): Entry {
    if (found.digest === entry.digest || this.#resource.kind === 'document') return found;
    throw new EntrepotError('integrity', `${entry.key} was stored with other bytes meanwhile; the first copy stays`, {
      code: 'FIRST_COPY_STAYS',
    });
  }

  /** Ends it. @param failure why nothing was brought */
  end(failure?: EntrepotError): void {
    this.#isOver = true;
    const role = this.#role;
    this.#role = undefined;
    if (role?.role === 'follower') role.leave();
    if (role?.role === 'leader') role.release(answerOf(failure));
  }

  async #enter(): Promise<FlightLease | FollowedFlight | undefined> {
    this.#role = await enter(this.#context.services, this.#name);
    if (this.#isOver) this.end();
    if (this.#role?.role === 'leader' && this.#body !== undefined) this.#role.offer(this.#body);
    return this.#role;
  }

  /** Waits for the end of a followed flight, `patience` milliseconds at the most. */
  async #endOf(role: FollowedFlight, patience?: number): Promise<FlightEnd | typeof LATE> {
    const ended = untilAborted(role.ended, this.#signal);
    const end = patience === undefined ? await ended : await inTime(ended, patience);
    if (end === LATE) ended.catch(() => {});
    return end;
  }

  async #broughtBy({ failure }: FlightEnd): Promise<FlightResult | undefined> {
    if (failure !== undefined) throw failure;
    return await this.#brought();
  }

  async #brought(): Promise<FlightResult | undefined> {
    const entry = await this.#newer();
    return entry && { kind: entry.digest === this.#known?.digest ? 'renewed' : 'stored', entry };
  }

  /** The entry that another process has put since this fetch began, where it is for the sender of this request, too. */
  async #newer(): Promise<Entry | undefined> {
    // While the database cannot be reached nobody can tell: then this process fetches, and serves at least.
    const entry = await newerEntry(this.#context, this.#resource.key, this.#known).catch(() => undefined);
    return entry && isForOthers(entry, this.#resource) ? undefined : entry;
  }

  async #restOf({ digest, size }: Entry, from: number): Promise<Readable | undefined> {
    const { store } = this.#context.services.storage.blobs;
    // All of it had come when it broke off.
    if (from === size) return Readable.from([]);
    return from < size ? await store.open(digest, { range: { start: from, end: size - 1 }, size }) : undefined;
  }
}

/** Takes the lease of a fetch. `undefined`: without a cluster, and where it cannot be told now: each fetches for itself. */
export async function enter(
  { cluster, logger }: EngineServices,
  name: string,
): Promise<FlightLease | FollowedFlight | undefined> {
  try {
    return await cluster?.enter(name);
  } catch (error) {
    logger.warn({ error }, 'the lease of a fetch could not be taken; this server fetches for itself');
    return undefined;
  }
}

/**
 * Does `work` that cannot be followed in one process of the cluster at a time.
 * @param brought what another process has brought meanwhile
 * @throws the answer that another process got
 */
export async function onceInCluster<Result>(
  services: EngineServices,
  name: string,
  signal: AbortSignal,
  brought: () => Promise<Result | undefined>,
  work: (fence: Fence | undefined) => Promise<Result>,
): Promise<Result> {
  for (;;) {
    const role = await enter(services, name);
    if (role?.role === 'follower') {
      const { failure } = await untilAborted(role.ended, signal).finally(() => role.leave());
      if (failure !== undefined) throw failure;
      const found = await brought();
      if (found !== undefined) return found;
      continue;
    }
    try {
      const found = role === undefined || role.isFirst ? undefined : await brought();
      const result = found ?? (await work(role?.fence));
      role?.release();
      return result;
    } catch (error) {
      role?.release(answerOf(error));
      if (!isLeaseLost(error)) throw error;
    }
  }
}

/** Names the variant of a document by the request headers that an upstream may choose it by. */
function variantOf({ kind, askedWith }: Stored): readonly string[] {
  return kind === 'document' && askedWith !== undefined ? [JSON.stringify(askedWith)] : [];
}

/** The name of a fetch in all processes. */
export function flightName(repository: string, keys: readonly string[]): string {
  return [repository, ...keys].join('\n');
}

/** The entry of `key`, where it is newer than what was known. */
export async function newerEntry(
  { definition, services }: FlightContext,
  key: string,
  known: Entry | undefined,
): Promise<Entry | undefined> {
  const { entries } = services.storage;
  entries.forget(definition.name, key);
  const entry = await entries.find(definition.name, key);
  const isNewer = known === undefined || entry?.digest !== known.digest || entry.checkedAt > known.checkedAt;
  return isNewer ? entry : undefined;
}
