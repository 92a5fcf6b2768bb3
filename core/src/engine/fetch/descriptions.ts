import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { FactName } from '../../api/facts.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type { Parsed, VerifyContext } from '../../plugin/classes.js';
import type { ArtifactResource, DocumentResource, StoredResource } from '../request/resource.js';
import { DamagedTableError } from '../../formats/tables/index.js';
import { BriefDescriptions } from './brief-descriptions.js';
import { located, type LocatedDescription } from './described-place.js';
import { headersOf, verifiedHeaders } from './kept-headers.js';
import { KnownDescriptions, readDocument, type Reading, sourceOf } from './known-descriptions.js';
import type { ResourceReader } from './resource-reader.js';
import type { FlightContext, FlightResult, Stored } from './shared-flight.js';
import { StatedSums } from './stated-sums.js';

/** A resource that a document may describe. */
export type Describable = Pick<StoredResource, 'key' | 'describedBy' | 'describedFor'> &
  Partial<Pick<ArtifactResource, 'describedBrieflyBy' | 'filename' | 'descriptionOptional'>>;

/** The kept copies of documents, as far as they were looked for. */
type KeptCopies = Map<DocumentResource, Entry | undefined>;

/** A document that was read. */
export interface ParsedDocument {
  readonly parsed: Parsed;
  readonly digest: Digest;
}

/** Descriptions of artifacts, from documents in memory, kept, or fetched. */
export class Descriptions {
  /** Sums in headers of replies, which stand for a small document. */
  readonly stated = new StatedSums();
  readonly #context: FlightContext;
  readonly #reader: ResourceReader;
  readonly #known = new KnownDescriptions();
  readonly #briefs: BriefDescriptions;

  constructor(context: FlightContext, reader: ResourceReader) {
    this.#context = context;
    this.#reader = reader;
    this.#briefs = new BriefDescriptions(context);
  }

  /** Forgets what is not tied to the bytes of a document. */
  forgetAll(): void {
    this.#briefs.forgetAll();
  }

  /** Whether a small document of its own may describe `resource`. */
  isBrief(resource: Stored): boolean {
    return this.#briefs.suffices(resource);
  }

  /**
   * Describes `artifact` by its document; `undefined` when there is none, or none is needed. A kept document that lists
   * the artifact is enough, however old: what was promised of immutable bytes does not change, and this works offline.
   * @throws EntrepotError `not-found` when the document does not list the artifact
   */
  async describe(artifact: Describable): Promise<LocatedDescription | undefined> {
    const documents = artifact.describedBy.filter(({ readFor }) => this.#isWanted(readFor));
    if (documents.length === 0 || !this.#isWanted(artifact.describedFor)) return undefined;
    const isBrief = this.#briefs.suffices(artifact) && !documents.some((document) => this.#isInMemory(document));
    const brief = isBrief ? await this.#briefs.find(artifact) : undefined;
    if (brief !== undefined) return brief;
    const kept: KeptCopies = new Map();
    const known = await this.#inKept(documents, artifact.key, kept);
    if (known !== undefined) return known;
    try {
      const found = await this.#fresh(documents, artifact.key, kept);
      if (isBrief && found !== undefined) this.#briefs.missed(artifact, found.coordinates?.version);
      if (found !== undefined || artifact.descriptionOptional === true) return found;
    } catch (error) {
      if (artifact.descriptionOptional === true && isNotFound(error)) return undefined;
      throw error;
    }
    const names = documents.map(({ key }) => key).join(' or ');
    throw new EntrepotError('not-found', `${names} does not list ${artifact.filename ?? artifact.key}`, {
      code: 'ARTIFACT_NOT_DESCRIBED',
    });
  }

  #isWanted(facts: readonly FactName[] | undefined): boolean {
    if (facts === undefined) return true;
    const needs = this.#context.services.policy.needs();
    return facts.some((name) => needs.has(name));
  }

  /** Whether the descriptions in `document` cost no more than to look them up. */
  #isInMemory({ key }: DocumentResource): boolean {
    const digest = this.#context.services.storage.entries.peek(this.#context.definition.name, key)?.digest;
    return digest !== undefined && this.#known.get(key, digest, new Set()) !== undefined;
  }

  /** Describes `resource` by a document that the upstream has just confirmed or replaced. */
  async describeAnew(resource: Stored): Promise<ArtifactDescription | undefined> {
    if (resource.kind !== 'artifact') return undefined;
    const { definition, services } = this.#context;
    const kept: KeptCopies = new Map();
    for (const document of resource.describedBy.filter(({ readFor }) => this.#isWanted(readFor)))
      kept.set(document, await services.storage.entries.find(definition.name, document.key));
    return await this.#fresh([...kept.keys()], resource.key, kept);
  }

  /** Looks into kept documents as far as they are there: an earlier one that is not could list the artifact, too. */
  async #inKept(
    documents: readonly DocumentResource[],
    key: string,
    copies: KeptCopies,
  ): Promise<LocatedDescription | undefined> {
    for (const document of documents) {
      const kept = await this.#keptCopy(document);
      copies.set(document, kept);
      const found = kept && (await this.#described(document, kept, key));
      if (found !== undefined || kept === undefined) return found;
    }
    return undefined;
  }

  /** @throws EntrepotError `not-found` where the upstream has none of the documents */
  async #fresh(
    documents: readonly DocumentResource[],
    key: string,
    copies: KeptCopies,
  ): Promise<LocatedDescription | undefined> {
    let missing: unknown;
    let isThere = false;
    for (const document of documents) {
      const kept = copies.has(document) ? copies.get(document) : await this.#keptCopy(document);
      try {
        const found = await this.#inFresh(document, kept, key);
        if (found !== undefined) return found;
        isThere = true;
      } catch (error) {
        // One that is out of reach could list it.
        if (!isNotFound(error)) throw error;
        missing ??= error;
      }
    }
    if (missing !== undefined && !isThere) throw missing;
    return undefined;
  }

  async #inFresh(
    document: DocumentResource,
    kept: Entry | undefined,
    key: string,
  ): Promise<LocatedDescription | undefined> {
    return await this.#reader.fetched(document, kept, async (result) => {
      return await this.#described(document, result.entry, key, this.#contentOf(result));
    });
  }

  /** Looks into a document: once more where its table turns out to be damaged, and is made anew. */
  async #described(
    document: DocumentResource,
    entry: Entry,
    key: string,
    content?: Content,
  ): Promise<LocatedDescription | undefined> {
    const look = async () => describedIn(await this.reading(document, entry, content), entry, key);
    return await look().catch((error: unknown) => {
      if (!(error instanceof DamagedTableError)) throw error;
      this.#context.services.logger.warn({ error, key: document.key }, 'a table is damaged and is made anew');
      return look();
    });
  }

  /** The kept copy of `document`; `undefined` where its bytes are lost, and memory has forgotten them. */
  async #keptCopy(document: DocumentResource): Promise<Entry | undefined> {
    const { definition, services } = this.#context;
    const { key } = document;
    const kept = await services.storage.entries.find(definition.name, key);
    const isKnown = kept !== undefined && this.known(document, kept.digest) !== undefined;
    return isKnown ? kept : await this.#reader.keptCopy(document);
  }

  /** All descriptions in `document`: the kept one, else it is fetched. @throws EntrepotError when it cannot be had */
  async inDocument(document: DocumentResource): Promise<Parsed> {
    const kept = await this.#keptCopy(document);
    if (kept !== undefined) return (await this.reading(document, kept)).parsed;
    await this.#context.negative.check(document.key);
    return await this.#reader.fetched(document, undefined, async (result) => {
      return (await this.reading(document, result.entry, this.#contentOf(result))).parsed;
    });
  }

  /** The document that clients get now, parsed. @throws EntrepotError when it cannot be had */
  async current(document: DocumentResource): Promise<ParsedDocument> {
    const use = (entry: Entry, content?: Content) => this.#parsed(document, entry, content);
    return await this.#reader.current(document, use, { kept: this.#keptCopy(document) });
  }

  /** The cached copy of a document, parsed. @throws EntrepotError `not-found` where none is */
  async kept(document: DocumentResource): Promise<ParsedDocument> {
    const kept = await this.#keptCopy(document);
    if (kept !== undefined) return await this.#parsed(document, kept);
    throw new EntrepotError('not-found', `${document.key} is not kept`, { code: 'NOT_KEPT' });
  }

  /** The document as a fetch brings it, parsed. @throws EntrepotError when it fails */
  async renewed(document: DocumentResource): Promise<ParsedDocument> {
    const kept = await this.#keptCopy(document);
    return await this.#reader.fetched(document, kept, (result) =>
      this.#parsed(document, result.entry, this.#contentOf(result)),
    );
  }

  async #parsed(document: DocumentResource, entry: Entry, content?: Content): Promise<ParsedDocument> {
    const { parsed } = await this.reading(document, entry, content);
    return { parsed, digest: entry.digest };
  }

  #contentOf(result: FlightResult): Content {
    return result.kind === 'unstored' ? result.content : this.#reader.stored(result.entry);
  }

  /** The reading of the document with `digest` that is in memory, if it looked for all that policy needs. */
  known({ key }: DocumentResource, digest: Digest): Reading | undefined {
    return this.#known.get(key, digest, this.#context.services.policy.needs());
  }

  /** Notes a reading of a document, with the digest that it will have. */
  note({ key }: Stored, digest: Digest, reading: Reading): void {
    this.#known.set(key, digest, reading);
  }

  /** Reads a document: once, as long as policy needs no more of it. */
  async reading(
    document: DocumentResource,
    entry: Entry,
    content: Content = this.#reader.stored(entry),
  ): Promise<Reading> {
    const { services } = this.#context;
    const known = this.known(document, entry.digest);
    if (known !== undefined) return known;
    const context: VerifyContext = {
      needs: services.policy.needs(),
      headers: verifiedHeaders(document, headersOf(entry)),
      read: (other) => this.#reader.read(this.#reader.bind(other)),
    };
    const place = { folder: services.storage.tables, digest: entry.digest };
    const reading = await readDocument(document, content, context, place);
    this.note(document, entry.digest, reading);
    return reading;
  }
}

function describedIn(reading: Reading, document: Entry, key: string): LocatedDescription | undefined {
  const found = located(reading.parsed.describe?.(key), document.upstreamUrl);
  return found && { ...found, factsFrom: sourceOf(document.digest, reading) };
}

function isNotFound(error: unknown): boolean {
  return error instanceof EntrepotError && error.kind === 'not-found';
}
