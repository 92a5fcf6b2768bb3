import type { Content } from '../api/content.js';
import type { Digest } from '../api/digest.js';
import type { Entry } from '../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../api/errors.js';
import { DEFAULT_FRESHNESS, type FreshnessRule } from '../api/freshness.js';
import type { ArtifactDescription, Descriptions } from '../api/protocol.js';
import type { ArtifactResource, DocumentResource } from '../api/resource.js';
import { ByteLru } from './byte-lru.js';
import { contentOf } from './content.js';
import { Flight, type FlightContext, type FlightResult } from './flight.js';
import { standing } from './freshness.js';
import type { NegativeCache } from './negative-cache.js';

/** How many single descriptions are kept parsed, over all documents of a repository. */
const MAX_DESCRIPTIONS = 50_000;

/** The running fetches of one repository, and what documents say of artifacts. */
export class Flights {
  readonly #context: FlightContext & { readonly negative: NegativeCache };
  readonly #running = new Map<string, Flight>();
  /** Flights that nobody can join; only known so that they can be ended. */
  readonly #alone = new Set<Flight>();
  readonly #descriptions = new ByteLru<Descriptions>(MAX_DESCRIPTIONS, (descriptions) => descriptions.size + 1);

  constructor(context: FlightContext & { readonly negative: NegativeCache }) {
    this.#context = context;
  }

  /** How many are running. */
  get count(): number {
    return this.#running.size + this.#alone.size;
  }

  /** The flight for `key` that others can join. */
  running(key: string): Flight | undefined {
    return this.#running.get(key);
  }

  /** The rule for a resource: its class's, with its own exceptions. */
  rule(resource: ArtifactResource | DocumentResource): FreshnessRule {
    const rule = this.#context.definition.freshness[resource.class] ?? DEFAULT_FRESHNESS[resource.kind];
    return resource.freshness === undefined ? rule : { ...rule, ...resource.freshness };
  }

  /** Joins the flight for `resource`, or starts it. The caller retains it before it next awaits. */
  join(resource: ArtifactResource | DocumentResource, kept: Entry | undefined): Flight {
    const running = this.#running.get(resource.key);
    if (running !== undefined) return running;
    const flight = this.#start(resource, kept, true);
    this.#running.set(resource.key, flight);
    const landed = (): void => void this.#running.delete(resource.key);
    flight.done.then(landed, landed);
    return flight;
  }

  /** A flight for one request only, whose bytes are verified but not kept. */
  alone(resource: ArtifactResource | DocumentResource): Flight {
    const flight = this.#start(resource, undefined, false);
    this.#alone.add(flight);
    const landed = (): void => void this.#alone.delete(flight);
    flight.done.then(landed, landed);
    return flight;
  }

  #start(resource: ArtifactResource | DocumentResource, kept: Entry | undefined, store: boolean): Flight {
    return new Flight(this.#context, {
      resource,
      rule: this.rule(resource),
      kept,
      store,
      describe: () => this.#admitted(resource),
      read: (other) => this.read(other),
      describeAnew: () => this.#describedAnew(resource),
      described: (digest, descriptions) => this.#descriptions.set(descriptionKey(resource.key, digest), descriptions),
    });
  }

  /** What is known of `resource` before its bytes, once policy has seen it. */
  async #admitted(resource: ArtifactResource | DocumentResource): Promise<ArtifactDescription | undefined> {
    if (resource.kind !== 'artifact') return undefined;
    const description = await this.describe(resource);
    // The document knows what a file is, also under a name that does not say so.
    const coordinates = description?.coordinates ?? resource.coordinates;
    if (coordinates !== undefined) this.#context.admission.require('request', coordinates, description);
    return description;
  }

  /**
   * What its document says of `artifact`; `undefined` when there is none, or none is needed. A kept document that lists
   * the artifact is enough, however old: what was promised of immutable bytes does not change, and this works offline.
   * @throws EntrepotError `not-found` when the document does not list the artifact
   */
  async describe(artifact: ArtifactResource): Promise<ArtifactDescription | undefined> {
    const { describedBy } = artifact;
    if (describedBy === undefined) return undefined;
    const { entries } = this.#context.services.storage;
    const kept = await entries.find(this.#context.definition.name, describedBy.key);
    const known = kept === undefined ? undefined : await this.#describedBy(describedBy, kept, artifact.key);
    if (known !== undefined) return known;
    try {
      const found = await this.#freshDescription(describedBy, kept, artifact.key);
      if (found !== undefined || artifact.descriptionOptional === true) return found;
    } catch (error) {
      if (artifact.descriptionOptional === true && error instanceof EntrepotError && error.kind === 'not-found')
        return undefined;
      throw error;
    }
    throw new EntrepotError('not-found', `${describedBy.key} does not list ${artifact.filename}`, {
      code: 'ARTIFACT_NOT_DESCRIBED',
    });
  }

  async #describedAnew(resource: ArtifactResource | DocumentResource): Promise<ArtifactDescription | undefined> {
    if (resource.kind !== 'artifact' || resource.describedBy === undefined) return undefined;
    const { definition, services } = this.#context;
    const kept = await services.storage.entries.find(definition.name, resource.describedBy.key);
    return await this.#freshDescription(resource.describedBy, kept, resource.key);
  }

  async #describedBy(
    document: DocumentResource,
    kept: Entry,
    artifactKey: string,
  ): Promise<ArtifactDescription | undefined> {
    const content = this.storedContent(kept);
    return located((await this.descriptionsOf(document, kept.digest, content)).get(artifactKey), kept);
  }

  async #freshDescription(
    document: DocumentResource,
    kept: Entry | undefined,
    artifactKey: string,
  ): Promise<ArtifactDescription | undefined> {
    return await this.#land(document, kept, async (result) => {
      const content = result.kind === 'unstored' ? result.content : this.storedContent(result.entry);
      const descriptions = await this.descriptionsOf(document, result.entry.digest, content);
      return located(descriptions.get(artifactKey), result.entry);
    });
  }

  /** What the document with `digest` says of its artifacts; read once. */
  async descriptionsOf(document: DocumentResource, digest: Digest, content: Content): Promise<Descriptions> {
    const { protocol, plugin } = this.#context.definition;
    if (protocol.describe === undefined) return new Map();
    const key = descriptionKey(document.key, digest);
    const known = this.#descriptions.get(key);
    if (known !== undefined) return known;
    try {
      const descriptions = await protocol.describe(document, content, { read: (other) => this.read(other) });
      this.#descriptions.set(key, descriptions);
      return descriptions;
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `describe of plugin ${plugin.id} failed`);
    }
  }

  /**
   * The bytes of `resource` for a hook that verifies another one: kept and fresh, else through a flight; stale when that
   * fails and the rule lets it.
   */
  async read(resource: ArtifactResource | DocumentResource): Promise<Content> {
    const { definition, negative, services } = this.#context;
    const kept = await services.storage.entries.find(definition.name, resource.key);
    const state = kept && standing(kept, this.rule(resource), services.clock.now());
    if (kept !== undefined && state?.fresh === true) return this.storedContent(kept);
    try {
      await negative.check(resource.key);
      return await this.#land(resource, kept, (result) => this.#ownContent(result));
    } catch (error) {
      const failure = asEntrepotError(error, 'plugin', `Reading ${resource.key} failed`);
      if (failure.kind === 'not-found') await negative.remember(resource.key, failure, this.rule(resource).negativeFor);
      if (kept !== undefined && failure.staleAllowed && state?.ifError === true) return this.storedContent(kept);
      throw failure;
    }
  }

  /** What a flight brought, for as long as its reader needs it: an unkept body goes with its flight, so it is copied. */
  async #ownContent(result: FlightResult): Promise<Content> {
    if (result.kind !== 'unstored') return this.storedContent(result.entry);
    const bytes = await result.content.bytes(this.#context.definition.limits.maxDocumentBytes);
    return contentOf(bytes.length, result.content.mediaType, () => [bytes]);
  }

  /** Joins or starts the flight for `resource`, waits for its end, and hands over what it brought. */
  async #land<Result>(
    resource: ArtifactResource | DocumentResource,
    kept: Entry | undefined,
    use: (result: FlightResult) => Promise<Result>,
  ): Promise<Result> {
    const flight = this.join(resource, kept);
    flight.retain();
    try {
      return await use(await flight.done);
    } finally {
      await flight.release();
    }
  }

  /** The bytes of an entry, from the store. */
  storedContent(entry: Entry): Content {
    const { blobs } = this.#context.services.storage;
    return contentOf(entry.size, entry.mediaType, async function* read() {
      const stream = await blobs.open(entry.digest, entry.size);
      if (stream === undefined)
        throw new EntrepotError('storage', `The blob of ${entry.key} is missing`, { code: 'BLOB_MISSING' });
      yield* stream as AsyncIterable<Uint8Array>;
    });
  }

  /** Waits for running flights up to `grace` milliseconds, then ends them. */
  async dispose(grace: number): Promise<void> {
    const flights = [...this.#running.values(), ...this.#alone];
    const landed = Promise.allSettled(flights.map(({ done }) => done));
    const timer = setTimeout(() => {
      for (const flight of flights) flight.abort();
    }, grace);
    await landed;
    clearTimeout(timer);
  }
}

/** A location that is relative stands in the document at the document's own URL. */
function located(description: ArtifactDescription | undefined, document: Entry): ArtifactDescription | undefined {
  if (description?.location === undefined || !URL.canParse(description.location, document.upstreamUrl))
    return description;
  return { ...description, location: new URL(description.location, document.upstreamUrl).href };
}

function descriptionKey(documentKey: string, digest: Digest): string {
  return `${digest} ${documentKey}`;
}
