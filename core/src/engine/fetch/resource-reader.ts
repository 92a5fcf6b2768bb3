import type { Content } from '../../api/content.js';
import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { ReadContent } from '../../plugin/classes.js';
import type { Resource } from '../../plugin/resource.js';
import { headersOf, keptSums, verifiedHeaders } from './kept-headers.js';
import { contentOf } from '../store/content.js';
import type { Flights } from './flights.js';
import { freshnessRule, standing } from './freshness.js';
import type { FlightContext, FlightResult, Stored } from './shared-flight.js';
import type { Waiting } from './wait-limit.js';

export interface ReadOptions {
  /** Reads that may be given up, each with the way to give it up. */
  readonly reads?: Set<() => void> | undefined;
  /** Milliseconds after which a kept copy is as good. */
  readonly staleAfter?: number | undefined;
}

/** Reads resources of a repository: kept, else fetched by the same pipeline as for a client. */
export class ResourceReader {
  readonly #context: FlightContext;
  readonly #flights: Flights;

  constructor(context: FlightContext, flights: Flights) {
    this.#context = context;
    this.#flights = flights;
  }

  /** Binds a resource that a hook reads. */
  bind(resource: Resource): Stored {
    return this.#context.definition.protocol.stored(resource);
  }

  /** The bytes of an entry: small ones from memory, where they are, else from the store. */
  stored(entry: Entry): Content {
    const { blobs } = this.#context.services.storage;
    return contentOf(entry.size, entry.mediaType, async function* read() {
      const stream = blobs.peek(entry.digest) ?? (await blobs.open(entry.digest, entry.size));
      if (stream === undefined)
        throw new EntrepotError('storage', `The blob of ${entry.key} is missing`, { code: 'BLOB_MISSING' });
      if (stream instanceof Uint8Array) yield stream;
      else yield* stream as AsyncIterable<Uint8Array>;
    });
  }

  /** The kept copy of `resource`; `undefined` also where its bytes are lost: then it is fetched again. */
  async keptCopy({ key }: Stored): Promise<Entry | undefined> {
    const { definition, services } = this.#context;
    const kept = await services.storage.entries.find(definition.name, key);
    if (kept === undefined || services.storage.blobs.peek(kept.digest) !== undefined) return kept;
    return (await services.blobs.stat(kept.digest)) === undefined ? undefined : kept;
  }

  /**
   * The bytes of `resource` for a hook that verifies another one: kept and fresh, else through a flight; stale when that
   * fails and the rule lets it.
   */
  async read(resource: Stored, reads?: Set<() => void>): Promise<ReadContent> {
    return await this.current(
      resource,
      async (entry, content) => {
        return content === undefined ? this.keptContent(resource, entry) : await this.#copied(resource, entry, content);
      },
      { reads },
    );
  }

  /**
   * Hands over the copy of `resource` that clients get now: kept and fresh, else of a flight; a stale one when that fails, or while it
   * runs, where the rule lets it. `content` has the bytes of one that is not kept, for as long as `use` runs.
   * @param options.kept the kept copy, for whom memory has more of it than its bytes
   */
  async current<Result>(
    resource: Stored,
    use: (entry: Entry, content?: Content) => Promise<Result>,
    { reads, kept: found }: { reads?: Set<() => void> | undefined; kept?: Promise<Entry | undefined> } = {},
  ): Promise<Result> {
    const { negative, services } = this.#context;
    const kept = await (found ?? this.keptCopy(resource));
    const rule = freshnessRule(this.#context, resource);
    const state = kept && standing(kept, rule, services.clock.now());
    if (kept !== undefined && (state?.fresh === true || resource.keptOnly)) return await use(kept);
    if (kept !== undefined && state?.whileRevalidating === true) {
      this.refresh(resource, kept);
      return await use(kept);
    }
    if (resource.keptOnly) throw new EntrepotError('not-found', `${resource.key} is not kept`, { code: 'NOT_KEPT' });
    try {
      await negative.check(resource.key);
      const staleAfter = state?.ifError === true ? rule.staleAfter : Infinity;
      return await this.fetched(
        resource,
        kept,
        (result) => use(result.entry, result.kind === 'unstored' ? result.content : undefined),
        { reads, staleAfter },
      );
    } catch (error) {
      const failure = asEntrepotError(error, 'plugin', `Reading ${resource.key} failed`);
      if (failure.kind === 'not-found') await negative.remember(resource.key, failure, rule);
      if (kept !== undefined && (failure.staleAllowed || failure.kind === 'plugin') && state?.ifError === true)
        return await use(kept);
      throw failure;
    }
  }

  /** Starts a refresh that nobody waits for. */
  refresh(resource: Stored, kept: Entry): void {
    const { definition, services } = this.#context;
    this.#flights.join(resource, kept).done.catch((error: unknown) => {
      services.logger.warn({ error, repository: definition.name, key: resource.key }, 'a background refresh failed');
    });
  }

  /** The bytes of a flight for as long as their reader needs them: an unkept body goes with its flight, so it is copied. */
  async #copied(resource: Stored, entry: Entry, content: Content): Promise<ReadContent> {
    const bytes = await content.bytes(this.#context.definition.limits.maxDocumentBytes);
    return this.keptContent(
      resource,
      entry,
      contentOf(bytes.length, content.mediaType, () => [bytes]),
    );
  }

  /** The bytes of an entry as hooks read them. */
  keptContent(resource: Stored, entry: Entry, content = this.stored(entry)): ReadContent {
    return { ...content, headers: { ...verifiedHeaders(resource, headersOf(entry)), ...keptSums(resource, entry) } };
  }

  /** Joins or starts the flight for `resource`, waits for its end, and hands over its result. */
  async fetched<Result>(
    resource: Stored,
    kept: Entry | undefined,
    use: (result: FlightResult) => Promise<Result>,
    { reads, staleAfter = Infinity }: ReadOptions = {},
  ): Promise<Result> {
    const flight = this.#flights.join(resource, kept);
    flight.retain();
    let held = true;
    const release = async (): Promise<void> => {
      if (!held) return;
      held = false;
      await flight.release();
    };
    const abandon = (): void => {
      release().catch(() => {});
      this.#flights.endUnwanted(resource, flight);
    };
    reads?.add(abandon);
    try {
      const waiting: Waiting = { key: resource.key, staleAfter };
      return await use(await this.#flights.waits.within(flight, flight.done, waiting));
    } finally {
      reads?.delete(abandon);
      await release();
    }
  }
}

/** The reads of the hooks for one resource. */
export class HookReads {
  readonly #reader: ResourceReader;
  readonly #verifiedBy: Stored | undefined;
  readonly #waiting = new Set<() => void>();
  #early: Promise<ReadContent> | undefined;

  constructor(reader: ResourceReader, resource: Stored) {
    this.#reader = reader;
    this.#verifiedBy = resource.kind === 'artifact' ? resource.verifiedBy : undefined;
  }

  /** Asks for what hooks read at any rate. They hear of what is wrong with it. */
  begin(): void {
    this.#early ??= this.#verifiedBy && this.#reader.read(this.#verifiedBy, this.#waiting);
    this.#early?.catch(() => {});
  }

  async read(named: Resource): Promise<ReadContent> {
    const resource = this.#reader.bind(named);
    const isEarly = this.#early !== undefined && resource.key === this.#verifiedBy?.key;
    return await (isEarly ? (this.#early as Promise<ReadContent>) : this.#reader.read(resource, this.#waiting));
  }

  /** Ends the reads that a hook which has failed no longer waits for. */
  abandon(): void {
    for (const abandon of this.#waiting) abandon();
  }
}
