import { isDeepStrictEqual } from 'node:util';
import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { asEntrepotError, EntrepotError } from '../../api/errors.js';
import type { FactName } from '../../api/facts.js';
import { DEFAULT_FRESHNESS, type FreshnessRule } from '../../api/freshness.js';
import type { ArtifactDescription, Descriptions } from '../../api/protocol.js';
import type { ArtifactResource, DocumentResource, StoredResource } from '../../api/resource.js';
import { Lru } from '../../formats/lru.js';
import { AddressedFlight } from './addressed-flight.js';
import { factsNow, factsOf, type DescriptionNow } from '../policy/facts.js';
import type { Judgement } from '../policy/judgement.js';
import { isJudgedByName } from '../policy/subject.js';
import { requireAllowed, requireSettled, type Refusal } from '../policy/verdict.js';
import { BriefDescriptions } from './brief-descriptions.js';
import { ContentFlights, contentDigest } from './content-flights.js';
import { contentOf } from '../store/content.js';
import {
  abandoned,
  Flight,
  type FlightContext,
  type FlightPlan,
  type FlightResult,
  type SharedFlight,
} from './flight.js';
import { headersOf, verifiedHeaders } from './kept-headers.js';
import { located, type LocatedDescription } from './described-place.js';
import { standing } from './freshness.js';
import { isSource, KnownDescriptions, type Reading, readDescriptions, sourceOf } from './known-descriptions.js';
import type { NegativeCache } from '../store/negative-cache.js';
import { LONGEST_TIMER, Patience, type Waiting } from './patience.js';
import { isPinned, nameOf, type PinnedDocument } from '../store/pinned-name.js';
import { namedNow } from './pinned-document.js';
import { produce, type ProducedMember } from './produced-flight.js';
import { putEntry } from './publish.js';
import type { JudgeContext } from '../policy/evaluation.js';
import { WorkTurns } from '../../formats/work-turns.js';
import { untilAborted } from '../request/until-aborted.js';
import { WholeFlight, type WholeResult } from './whole-flight.js';

/** After so long a document is asked for again for the sake of artifacts that are kept; milliseconds. */
const LOOK_AGAIN = 86_400_000;
const MAX_LOOKED = 20_000;

/** How many names of bytes are looked at. */
const MAX_NAMES = 500;
/** How many are remembered for when the index is out of reach. */
const MAX_LAST_NAMES = 20_000;

/** How many times as long the copies of names stay fresh while their upstream takes few more requests. */
const FRESH_LONGER = 10;

/** What a document may describe. */
type Described = Pick<StoredResource, 'key' | 'describedBy' | 'describedBrieflyBy' | 'describedFor'> &
  Partial<Pick<ArtifactResource, 'filename' | 'descriptionOptional'>>;

/** A running flight as a request for one of its keys sees it. */
type FlightView = (key: string) => SharedFlight;

/** The running fetches of one repository, and what documents say of artifacts. */
export class Flights {
  readonly #context: FlightContext & { readonly negative: NegativeCache };
  /** How long those who could be given a kept copy wait. */
  readonly patience = new Patience();
  readonly #running = new Map<string, FlightView>();
  readonly #coming = new ContentFlights();
  /** Flights that nobody can join; only known so that they can be ended. */
  readonly #alone = new Set<SharedFlight>();
  readonly #known = new KnownDescriptions();
  /** When documents were last asked for, for the sake of what is kept. */
  readonly #looked = new Lru<number>(MAX_LOOKED);
  readonly #briefs: BriefDescriptions;
  readonly #lastNames = new Lru<readonly Entry[]>(MAX_LAST_NAMES, (names) => names.length + 1);

  constructor(context: FlightContext & { readonly negative: NegativeCache }) {
    this.#context = context;
    this.#briefs = new BriefDescriptions(context);
  }

  /** How many are running. */
  get count(): number {
    return this.#running.size + this.#alone.size;
  }

  /** The flight for `resource` that others can join. */
  running(resource: ArtifactResource | DocumentResource): SharedFlight | undefined {
    return this.#running.get(flightKey(resource))?.(resource.key);
  }

  /** The rule for a resource: its class's, with its own exceptions. */
  rule(resource: ArtifactResource | DocumentResource): FreshnessRule {
    const { definition, upstreams } = this.#context;
    const common = definition.freshness[resource.class] ?? DEFAULT_FRESHNESS[resource.kind];
    const rule = resource.freshness === undefined ? common : { ...common, ...resource.freshness };
    // What the upstream still takes is for what is not kept at all.
    if (!isPinned(resource) || !upstreams.isShort(resource.upstreamScope)) return rule;
    return { ...rule, freshFor: rule.freshFor * FRESH_LONGER };
  }

  /** Joins the flight for `resource`, or starts it. The caller retains it before it next awaits. */
  join(resource: ArtifactResource | DocumentResource, kept: Entry | undefined): SharedFlight {
    const running = this.running(resource);
    if (running !== undefined) return running;
    const key = flightKey(resource);
    const view = this.#takeOff(resource, kept);
    this.#running.set(key, view);
    const flight = view(resource.key);
    const landed = (): void => {
      if (this.#running.get(key) === view) this.#running.delete(key);
    };
    flight.done.then(landed, landed);
    return flight;
  }

  #takeOff(resource: ArtifactResource | DocumentResource, kept: Entry | undefined): FlightView {
    const members = membersOf(resource);
    if (resource.produced !== true && (members.length === 1 || kept !== undefined)) {
      const flight = this.#addressed(resource, kept) ?? this.#start(resource, kept, 'entry');
      return () => flight;
    }
    const whole = new WholeFlight((signal) => this.#bringWhole(resource, members, kept, signal));
    return (key) => whole.for(key);
  }

  /** The flight for bytes that another name may have brought. */
  #addressed(resource: ArtifactResource | DocumentResource, kept: Entry | undefined): SharedFlight | undefined {
    const digest = contentDigest(resource);
    if (resource.kind !== 'artifact' || digest === undefined || kept !== undefined) return undefined;
    return new AddressedFlight(this.#context, {
      resource,
      digest,
      coming: this.#coming,
      admit: () => this.admitted(resource),
      start: () => this.#start(resource, undefined, 'entry'),
    });
  }

  /** Produces a resource, or brings several that belong together, and publishes all at once. */
  async #bringWhole(
    resource: ArtifactResource | DocumentResource,
    members: readonly (ArtifactResource | DocumentResource)[],
    kept: Entry | undefined,
    signal: AbortSignal,
  ): Promise<WholeResult> {
    const { services } = this.#context;
    const { entries, lacking } =
      resource.produced === true
        ? { entries: await this.#produce(resource, members, signal), lacking: undefined }
        : await this.#fetchAll(members, signal);
    if (members.length === 1)
      return { entries: [await putEntry(services, resource, entries[0] as Entry, kept)], lacking };
    if (resource.kind !== 'artifact' || resource.togetherAsThere !== true)
      return { entries: await services.storage.entries.putIfAbsent(entries) };
    return { entries: await this.#putBeside(entries), lacking };
  }

  /**
   * Puts what a set has now beside what it had before, where that is of the same copy. Whoever finds all of it kept was second,
   * and takes the first one's copy.
   */
  async #putBeside(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const { entries: index } = this.#context.services.storage;
    // One look at all of them: another replica may publish them at this moment.
    const kept = await index.putIfAbsent(entries);
    if (kept.length === entries.length) return kept;
    const digests = new Map(kept.map(({ key, digest }) => [key, digest]));
    for (const { key, digest } of entries) {
      if ((digests.get(key) ?? digest) === digest) continue;
      throw new EntrepotError('integrity', `${key} is kept, and the upstream has another copy now`, {
        code: 'SET_CHANGED',
      });
    }
    return [...kept, ...(await index.putIfAbsent(entries.filter(({ key }) => !digests.has(key))))];
  }

  async #produce(
    resource: ArtifactResource | DocumentResource,
    members: readonly (ArtifactResource | DocumentResource)[],
    signal: AbortSignal,
  ): Promise<readonly Entry[]> {
    const described: ProducedMember[] = [];
    for (const member of members) described.push({ resource: member, description: await this.#described(member) });
    return await produce(this.#context, this.#plan(resource, undefined, 'blob'), described, signal);
  }

  async #fetchAll(
    members: readonly (ArtifactResource | DocumentResource)[],
    signal: AbortSignal,
  ): Promise<WholeResult> {
    const flights = members.map((member) => this.#start(member, undefined, 'blob'));
    signal.addEventListener('abort', () => flights.forEach((flight) => flight.abort()), { once: true });
    const lacking = new Map<string, EntrepotError>();
    const landed = flights.map(async ({ done }, index) => {
      const member = members[index] as ArtifactResource | DocumentResource;
      try {
        return await done;
      } catch (error) {
        const mayLack = member.kind === 'artifact' && member.togetherAsThere === true;
        if (!mayLack || !(error instanceof EntrepotError) || error.kind !== 'not-found') throw error;
        lacking.set(member.key, error as EntrepotError);
        return undefined;
      }
    });
    const results = await Promise.all(landed).catch((error: unknown) => {
      for (const flight of flights) flight.abort();
      throw error;
    });
    const entries = results.flatMap((result) => {
      if (result === undefined) return [];
      if (result.kind === 'stored') return [result.entry];
      const { key } = result.entry;
      throw new EntrepotError('storage', `${key} could not be kept, and must not be served before it is`, {
        code: 'STORAGE_FULL',
      });
    });
    return { entries, lacking };
  }

  /** A flight for one request only, whose bytes are verified but not kept. */
  alone(resource: ArtifactResource | DocumentResource): SharedFlight {
    const flight = this.#start(resource, undefined, 'nothing');
    this.#setAside(flight);
    return flight;
  }

  #setAside(flight: SharedFlight): void {
    this.#alone.add(flight);
    const landed = (): void => void this.#alone.delete(flight);
    flight.done.then(landed, landed);
  }

  #start(resource: ArtifactResource | DocumentResource, kept: Entry | undefined, keep: FlightPlan['keep']): Flight {
    return new Flight(this.#context, this.#plan(resource, kept, keep));
  }

  #plan(resource: ArtifactResource | DocumentResource, kept: Entry | undefined, keep: FlightPlan['keep']): FlightPlan {
    const reads = new Set<() => void>();
    const verifiedBy = resource.kind === 'artifact' ? resource.verifiedBy : undefined;
    let ahead: Promise<Content> | undefined;
    return {
      resource,
      rule: this.rule(resource),
      kept,
      keep,
      // Of what flies together, each is judged for who asks for it: one that is refused must not keep back the others.
      describe: async () => {
        const description = await (keep === 'blob' ? this.#described(resource) : this.admitted(resource));
        // Of what policy refuses nothing is asked. The hook hears of what is wrong with it.
        ahead ??= verifiedBy && this.read(verifiedBy, reads);
        ahead?.catch(() => {});
        return description;
      },
      startsEarly: keep !== 'blob' && kept === undefined && this.#startsEarly(resource),
      read: (other) => (other.key === verifiedBy?.key && ahead) || this.read(other, reads),
      abandonReads: () => reads.forEach((abandon) => abandon()),
      describeAnew: () => this.#describedAnew(resource),
      described: (digest, reading) => this.#known.set(resource.key, digest, reading),
    };
  }

  /** Whether the bytes are asked for along with what is promised of them: nothing that policy looks at is still to come. */
  #startsEarly(resource: ArtifactResource | DocumentResource): boolean {
    if (resource.kind !== 'artifact' || resource.describedFor !== undefined || resource.namedBelow !== undefined)
      return false;
    if (!this.#briefs.suffices(resource)) return false;
    const { coordinates } = resource;
    return (
      coordinates === undefined ||
      this.#context.judge(this.#anybody(), { kind: 'version', coordinates }).outcome === 'allow'
    );
  }

  /**
   * Describes `resource` before its bytes are here, once policy has seen it. A document promises no bytes
   * of another one, and tells its facts alone.
   * @throws EntrepotError as `describe`; Denial
   */
  async admitted(resource: ArtifactResource | DocumentResource): Promise<LocatedDescription | undefined> {
    const { description } = await this.judged(resource);
    if (resource.kind === 'artifact' || description === undefined) return description;
    const { coordinates, factsFrom } = description;
    return { ...factsOf(description), coordinates, factsFrom, integrity: [] };
  }

  /**
   * Has policy judge `resource` before its bytes are here.
   * @param context of the one request that it is for; absent: it is for several
   * @throws EntrepotError as `describe`; Denial when it is refused
   */
  async judged(
    resource: ArtifactResource | DocumentResource,
    context: JudgeContext = this.#anybody(),
  ): Promise<{ description?: LocatedDescription | undefined; judgement?: Judgement | undefined }> {
    const { judge } = this.#context;
    if (isJudgedByName(resource)) {
      requireAllowed(judge(context, { kind: 'name', coordinates: resource.coordinates }));
      return {};
    }
    await this.requireNames(resource);
    const description = await this.#described(resource);
    // The document knows what a file is, also under a name that does not say so.
    const coordinates = description?.coordinates ?? resource.coordinates;
    if (coordinates === undefined) return { description };
    if (resource.sidecar === true)
      await requireSettled(judge(context, { kind: 'sidecar', resource, coordinates, facts: description }));
    const digest = isPinned(resource) ? await this.#namedNow(resource, context) : undefined;
    const verdict = judge(context, { kind: 'version', resource, coordinates, description, digest });
    return { description, judgement: requireAllowed(verdict) };
  }

  /**
   * Finds the digest that a name stands for, where a rule counts ages: the name is as old as that content. `undefined`: not
   * known.
   */
  async #namedNow(resource: PinnedDocument, context: JudgeContext): Promise<Digest | undefined> {
    const { judge, definition, services, upstreams } = this.#context;
    const { coordinates } = resource;
    if (!services.policy.needs().has('publishedAt')) return undefined;
    // Nobody is asked for what is refused whatever it stands for.
    requireAllowed(judge(context, { kind: 'name', coordinates }));
    if (coordinates !== undefined) requireAllowed(judge(context, { kind: 'version', resource, coordinates }));
    const tooLate = AbortSignal.timeout(definition.limits.totalTimeout);
    return await namedNow(upstreams, resource, tooLate);
  }

  async #described(resource: ArtifactResource | DocumentResource): Promise<LocatedDescription | undefined> {
    return resource.kind === 'artifact' ? await this.describe(resource) : await this.#about(resource);
  }

  /** What a document says of another one that only policy looks at; `undefined` while it cannot be had. */
  async #about(resource: DocumentResource): Promise<LocatedDescription | undefined> {
    if (resource.describedBy === undefined) return undefined;
    try {
      const { key, describedBy, describedFor } = resource;
      return await this.describe({ key, describedBy, describedFor, descriptionOptional: true });
    } catch (error) {
      if (error instanceof EntrepotError && error.staleAllowed) return undefined;
      throw error;
    }
  }

  /** The context of a judgement that is for several requests. */
  #anybody(): JudgeContext {
    return { now: this.#context.services.clock.now() };
  }

  #isWanted(facts: readonly FactName[] | undefined): boolean {
    if (facts === undefined) return true;
    const needs = this.#context.services.policy.needs();
    return facts.some((name) => needs.has(name));
  }

  /** @throws Denial when every name under which these bytes are kept is refused */
  async requireNames(resource: ArtifactResource | DocumentResource): Promise<void> {
    const namedBelow = resource.kind === 'artifact' ? resource.namedBelow : undefined;
    if (namedBelow === undefined) return;
    const { judge } = this.#context;
    const anybody = this.#anybody();
    const names = await this.#namesBelow(namedBelow.key);
    const turns = new WorkTurns();
    let refusal: Refusal | undefined;
    for (const entry of names) {
      // What is in memory is read without a break.
      await turns.pause();
      if (!(await this.#names(namedBelow, entry, resource))) continue;
      const verdict = judge(anybody, { kind: 'part', namedBy: entry });
      if (verdict.outcome === 'allow') return;
      refusal ??= verdict;
    }
    if (refusal !== undefined) requireAllowed(refusal);
  }

  /** The kept documents below `prefix`; as they were when the index was last in reach. */
  async #namesBelow(prefix: string): Promise<readonly Entry[]> {
    const { definition, services } = this.#context;
    try {
      const names = await services.entries.list(definition.name, { prefix, limit: MAX_NAMES });
      this.#lastNames.set(prefix, names);
      return names;
    } catch (error) {
      const known = this.#lastNames.get(prefix);
      if (known === undefined) throw error;
      services.logger.warn({ error, repository: definition.name, prefix }, 'the index cannot be read');
      return known;
    }
  }

  /** Whether the kept document `entry` is a name of `resource`, or of what it is a part of. */
  async #names(
    namedBelow: DocumentResource,
    entry: Entry,
    resource: ArtifactResource | DocumentResource,
  ): Promise<boolean> {
    if (askedDigest(resource) === nameOf(entry)) return true;
    const document = { ...namedBelow, key: entry.key };
    try {
      return (await this.descriptionsOf(document, entry, this.storedContent(entry))).has(resource.key);
    } catch (error) {
      const { repository, key } = entry;
      this.#context.services.logger.warn({ error, repository, key }, 'a document cannot be read');
      return false;
    }
  }

  /** The digest of the document that describes `resource`, as far as memory knows. */
  documentOf({ describedBy }: ArtifactResource | DocumentResource): Digest | undefined {
    if (describedBy === undefined) return undefined;
    return this.#context.services.storage.entries.peek(this.#context.definition.name, describedBy.key)?.digest;
  }

  /**
   * What the document in force says of the kept bytes of `resource`: from memory. It is read again only where nothing else
   * tells what policy wants to know; and what has changed is noted with the entry, for when memory has forgotten it.
   */
  async descriptionNow(resource: ArtifactResource | DocumentResource, entry: Entry): Promise<DescriptionNow> {
    const { definition, services } = this.#context;
    const { describedBy } = resource;
    const needs = services.policy.needs();
    if (describedBy === undefined || needs.size === 0) return undefined;
    try {
      const kept = await services.storage.entries.find(definition.name, describedBy.key);
      if (kept === undefined) return await this.#factsAfterBrief(resource, entry);
      this.#lookAgain(describedBy, kept);
      const known = this.#known.get(describedBy.key, kept.digest, needs);
      const isGone = kept.facts?.upstream === 'removed';
      const source: Digest = isGone ? `${kept.digest}-gone` : kept.digest;
      if (known === undefined && isSource(entry.factsFrom, source, needs)) return undefined;
      const reading = known ?? (await this.#read(describedBy, kept, this.storedContent(kept)));
      const said = reading.descriptions.get(resource.key) ?? unlisted(resource, reading.descriptions);
      const now = isGone ? goneWith(said) : said;
      // Its document says more than nothing: it is not read again for that.
      this.#noteFacts(entry, now, sourceOf(source, reading), known === undefined);
      return now;
    } catch (error) {
      services.logger.warn({ error, repository: definition.name, key: describedBy.key }, 'a document cannot be read');
      return undefined;
    }
  }

  /**
   * Asks for a document that nobody has asked for in a long while, since clients with a lockfile ask for its artifacts alone: what was
   * taken down is known by it. Nobody waits for that.
   */
  #lookAgain(document: DocumentResource, kept: Entry): void {
    const { definition, services } = this.#context;
    if (!services.policy.needs().has('upstream') || this.rule(document).policy !== 'revalidate') return;
    const now = services.clock.now();
    if (now - Math.max(kept.checkedAt, this.#looked.get(document.key) ?? 0) < LOOK_AGAIN) return;
    this.#looked.set(document.key, now);
    this.join(document, kept).done.catch((error: unknown) => {
      services.logger.warn({ error, repository: definition.name, key: document.key }, 'a document cannot be refreshed');
    });
  }

  /** Of bytes that came while no rule looked at facts: now one does, and the whole document is fetched. */
  async #factsAfterBrief(resource: ArtifactResource | DocumentResource, entry: Entry): Promise<DescriptionNow> {
    if (resource.describedBrieflyBy === undefined || resource.kind !== 'artifact' || entry.factsFrom !== undefined)
      return undefined;
    // The cached copy is served without waiting longer: the fetch goes on for later requests.
    const late = AbortSignal.timeout(Math.min(this.rule(resource).staleAfter, LONGEST_TIMER));
    const found = await untilAborted(this.describe(resource), late);
    if (found?.factsFrom !== undefined) this.#noteFacts(entry, found, found.factsFrom, true);
    return found;
  }

  /**
   * Notes what a document says now. Nobody waits for it, since it is known.
   * @param wasRead the document was read for this, which is not to happen again for the same
   */
  #noteFacts(entry: Entry, description: DescriptionNow, factsFrom: string, wasRead: boolean): void {
    const facts =
      description === undefined
        ? entry.facts
        : 'unlisted' in description
          ? factsNow(entry, description)
          : factsOf(description);
    if (!wasRead && isDeepStrictEqual(facts ?? {}, entry.facts ?? {})) return;
    const { logger, storage } = this.#context.services;
    storage.entries
      .touch(entry, { checkedAt: entry.checkedAt, facts: facts ?? {}, factsFrom })
      .catch((error: unknown) => {
        logger.warn(
          { error, repository: entry.repository, key: entry.key },
          'facts from a document could not be stored',
        );
      });
  }

  /**
   * What its document says of `artifact`; `undefined` when there is none, or none is needed. A kept document that lists
   * the artifact is enough, however old: what was promised of immutable bytes does not change, and this works offline.
   * @throws EntrepotError `not-found` when the document does not list the artifact
   */
  async describe(artifact: Described): Promise<LocatedDescription | undefined> {
    const { describedBy, describedFor } = artifact;
    if (describedBy === undefined || !this.#isWanted(describedFor)) return undefined;
    const isBrief = this.#briefs.suffices(artifact) && !this.#isInMemory(describedBy);
    const brief = isBrief ? await this.#briefs.find(artifact) : undefined;
    if (brief !== undefined) return brief;
    const kept = await this.#keptCopy(describedBy);
    const known = kept === undefined ? undefined : await this.#describedBy(describedBy, kept, artifact.key);
    if (known !== undefined) return known;
    try {
      const found = await this.#freshDescription(describedBy, kept, artifact.key);
      if (isBrief && found !== undefined) this.#briefs.missed(artifact, found.coordinates?.version);
      if (found !== undefined || artifact.descriptionOptional === true) return found;
    } catch (error) {
      if (artifact.descriptionOptional === true && error instanceof EntrepotError && error.kind === 'not-found')
        return undefined;
      throw error;
    }
    throw new EntrepotError('not-found', `${describedBy.key} does not list ${artifact.filename ?? artifact.key}`, {
      code: 'ARTIFACT_NOT_DESCRIBED',
    });
  }

  /** Whether what `document` says costs no more than to look it up. */
  #isInMemory({ key }: DocumentResource): boolean {
    const digest = this.#context.services.storage.entries.peek(this.#context.definition.name, key)?.digest;
    return digest !== undefined && this.#known.get(key, digest, new Set()) !== undefined;
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
  ): Promise<LocatedDescription | undefined> {
    const reading = await this.#read(document, kept, this.storedContent(kept));
    return read(reading.descriptions.get(artifactKey), kept, reading);
  }

  async #freshDescription(
    document: DocumentResource,
    kept: Entry | undefined,
    artifactKey: string,
  ): Promise<LocatedDescription | undefined> {
    return await this.#land(document, kept, async (result) => {
      const content = result.kind === 'unstored' ? result.content : this.storedContent(result.entry);
      const reading = await this.#read(document, result.entry, content);
      return read(reading.descriptions.get(artifactKey), result.entry, reading);
    });
  }

  /** The kept copy of `resource`; `undefined` also where its bytes are lost: then it is fetched again. */
  async #keptCopy({ key }: ArtifactResource | DocumentResource): Promise<Entry | undefined> {
    const { definition, services } = this.#context;
    const kept = await services.storage.entries.find(definition.name, key);
    if (kept === undefined || services.storage.blobs.peek(kept.digest) !== undefined) return kept;
    if (this.#known.get(key, kept.digest, services.policy.needs()) !== undefined) return kept;
    return (await services.blobs.stat(kept.digest)) === undefined ? undefined : kept;
  }

  /** What `document` says of its artifacts: the kept one, else it is fetched. @throws EntrepotError when it cannot be had */
  async descriptionsIn(document: DocumentResource): Promise<Descriptions> {
    const { negative } = this.#context;
    const kept = await this.#keptCopy(document);
    if (kept !== undefined) return await this.descriptionsOf(document, kept, this.storedContent(kept));
    await negative.check(document.key);
    return await this.#land(document, undefined, async (result) => {
      const content = result.kind === 'unstored' ? result.content : this.storedContent(result.entry);
      return await this.descriptionsOf(document, result.entry, content);
    });
  }

  /** Reads the descriptions in a document, whose bytes are `content`. */
  async descriptionsOf(document: DocumentResource, entry: Entry, content: Content): Promise<Descriptions> {
    return (await this.#read(document, entry, content)).descriptions;
  }

  /** Reads a document: once, as long as policy needs no more of it. */
  async #read(document: DocumentResource, entry: Entry, content: Content): Promise<Reading> {
    const { definition } = this.#context;
    const { protocol, plugin } = definition;
    const { digest } = entry;
    const needs = this.#context.services.policy.needs();
    const known = this.#known.get(document.key, digest, needs);
    if (known !== undefined) return known;
    try {
      const context = {
        needs,
        headers: verifiedHeaders(definition, document, headersOf(entry)),
        read: (other: ArtifactResource | DocumentResource) => this.read(other),
      };
      const reading = await readDescriptions(protocol, document, content, context);
      this.#known.set(document.key, digest, reading);
      return reading;
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `describe of plugin ${plugin.id} failed`);
    }
  }

  /**
   * The bytes of `resource` for a hook that verifies another one: kept and fresh, else through a flight; stale when that
   * fails and the rule lets it.
   * @param reads what the hook waits for, each with the way to wait no longer
   */
  async read(resource: ArtifactResource | DocumentResource, reads?: Set<() => void>): Promise<Content> {
    const { negative, services } = this.#context;
    const kept = await this.#keptCopy(resource);
    const rule = this.rule(resource);
    const state = kept && standing(kept, rule, services.clock.now());
    if (kept !== undefined && state?.fresh === true) return this.storedContent(kept);
    try {
      await negative.check(resource.key);
      const staleAfter = state?.ifError === true ? rule.staleAfter : Infinity;
      return await this.#land(resource, kept, (result) => this.#ownContent(result), { reads, staleAfter });
    } catch (error) {
      const failure = asEntrepotError(error, 'plugin', `Reading ${resource.key} failed`);
      if (failure.kind === 'not-found') await negative.remember(resource.key, failure, rule);
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
    { reads, staleAfter = Infinity }: { reads?: Set<() => void> | undefined; staleAfter?: number } = {},
  ): Promise<Result> {
    const flight = this.join(resource, kept);
    flight.retain();
    let held = true;
    const release = async (): Promise<void> => {
      if (!held) return;
      held = false;
      await flight.release();
    };
    const abandon = (): void => {
      release().catch(() => {});
      this.#endUnwanted(resource, flight);
    };
    reads?.add(abandon);
    try {
      const waiting: Waiting = { key: resource.key, staleAfter };
      return await use(await this.patience.within(flight, flight.done, waiting));
    } finally {
      reads?.delete(abandon);
      await release();
    }
  }

  /** Ends a flight that was for a failed hook alone: who tries again must not join it, and fail on what it brings. */
  #endUnwanted(resource: ArtifactResource | DocumentResource, flight: SharedFlight): void {
    if (flight.wanted || this.running(resource) !== flight) return;
    this.#running.delete(flightKey(resource));
    this.#setAside(flight);
    flight.abort(abandoned(resource));
  }

  /** The bytes of an entry: small ones from memory, where they are, else from the store. */
  storedContent(entry: Entry): Content {
    const { blobs } = this.#context.services.storage;
    return contentOf(entry.size, entry.mediaType, async function* read() {
      const stream = blobs.peek(entry.digest) ?? (await blobs.open(entry.digest, entry.size));
      if (stream === undefined)
        throw new EntrepotError('storage', `The blob of ${entry.key} is missing`, { code: 'BLOB_MISSING' });
      if (stream instanceof Uint8Array) yield stream;
      else yield* stream as AsyncIterable<Uint8Array>;
    });
  }

  /** Waits for running flights up to `grace` milliseconds, then ends them. */
  async dispose(grace: number): Promise<void> {
    const flights = [...Array.from(this.#running, ([key, view]) => view(key)), ...this.#alone];
    const landed = Promise.allSettled(flights.map(({ done }) => done));
    const timer = setTimeout(() => {
      for (const flight of flights) flight.abort();
    }, grace);
    await landed;
    clearTimeout(timer);
  }
}

/** Reads the description of one artifact from `document`. */
function read(
  description: ArtifactDescription | undefined,
  document: Entry,
  reading: Reading,
): LocatedDescription | undefined {
  const found = located(description, document.upstreamUrl);
  return found && { ...found, factsFrom: sourceOf(document.digest, reading) };
}

/** The same of a document that its upstream has no more: what it listed is gone with it. */
function goneWith(description: DescriptionNow): DescriptionNow {
  if (description === undefined) return { unlisted: { upstream: 'removed' } };
  if ('unlisted' in description) return description;
  return { ...description, upstream: description.upstream ?? 'removed' };
}

/** Gives the facts about cached bytes that their document does not list. */
function unlisted(resource: ArtifactResource | DocumentResource, { unlisted: upstream }: Descriptions): DescriptionNow {
  if (upstream !== undefined) return { unlisted: upstream };
  const mustBeListed = resource.kind === 'artifact' && resource.descriptionOptional !== true;
  return mustBeListed ? { unlisted: { upstream: 'removed' } } : undefined;
}

/** The digest that `resource` is asked for by. */
function askedDigest(resource: ArtifactResource | DocumentResource): Digest | undefined {
  const sum =
    resource.kind === 'artifact' ? resource.integrity?.find(({ algorithm }) => algorithm === 'sha256') : undefined;
  return sum && `sha256:${sum.hex}`;
}

/** What flies together is one flight. */
function flightKey(resource: ArtifactResource | DocumentResource): string {
  return membersOf(resource)
    .map(({ key }) => key)
    .sort()
    .join('\n');
}

function membersOf(resource: ArtifactResource | DocumentResource): readonly (ArtifactResource | DocumentResource)[] {
  const together = resource.kind === 'artifact' ? resource.together : undefined;
  return together ?? [resource];
}
