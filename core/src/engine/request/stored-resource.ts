import type { Content } from '../../api/content.js';
import type { Entry } from '../../api/entry-index.js';
import { EntrepotError } from '../../api/errors.js';
import type { Integrity } from '../../api/integrity.js';
import type { JoinedPiece, RenderedDocument } from '../../api/protocol.js';
import type { Table } from '../../formats/tables/index.js';
import type {
  DocumentClass,
  EntrySelection,
  ListingClass,
  ListingContext,
  Parsed,
  RenderRequest,
  VerifyContext,
} from '../../plugin/classes.js';
import { isLocalReply, type LocalReply, type Resource } from '../../plugin/resource.js';
import { hook, made } from './call-hook.js';
import { ResourceFacts, type Side } from './resource-facts.js';

/** A document that was not parsed: its class has no `parse`. */
export const UNPARSED: Parsed = Object.freeze({ weight: 0 });

/** A side that binds the names that its classes give. */
export interface Binding extends Side {
  /** @throws Error for a class of another kind */
  document(resource: Resource): DocumentResource;
  /** @throws Error for a class of another kind */
  artifact(resource: Resource): ArtifactResource;
}

/** A resource that is stored, or made of what is. */
export abstract class StoredResource extends ResourceFacts<Binding> {
  /** The sums that its name states. */
  get integrity(): readonly Integrity[] | undefined {
    return this.named.integrity;
  }
  /** The documents that may describe it: the first one that lists it counts. */
  get describedBy(): readonly DocumentResource[] {
    const found = this.groups.trust?.describedBy?.(this.named, this.binding.self) ?? [];
    return ('class' in found ? [found] : found).map((document) => this.binding.document(document));
  }
  get describedBrieflyBy(): DocumentResource | undefined {
    const found = this.groups.trust?.describedBrieflyBy?.(this.named, this.binding.self);
    return found && this.binding.document(found);
  }
}

/** Immutable bytes. */
export class ArtifactResource extends StoredResource {
  readonly kind = 'artifact';
  readonly isRendered = false;
  /** The set that a member named: all members name the same. */
  #set: readonly ArtifactResource[] | undefined;

  get filename(): string {
    return this.fact(this.groups.reply?.filename) ?? this.key.slice(this.key.lastIndexOf('/') + 1);
  }
  get descriptionOptional() {
    return this.fact(this.groups.trust?.descriptionOptional);
  }
  get verifiedBy(): DocumentResource | undefined {
    const found = this.groups.trust?.verifiedBy?.(this.named, this.binding.self);
    return found && this.binding.document(found);
  }
  /** The artifacts, this one among them, that must be one copy for ever. */
  get publishedWith(): readonly ArtifactResource[] | undefined {
    if (this.#set !== undefined) return this.#set;
    const found = this.fact(this.groups.trust?.publishedWith);
    if (found === undefined) return undefined;
    const set = found.members.map((member) => (member.key === this.key ? this : this.binding.artifact(member)));
    for (const member of set) member.#set = set;
    return set;
  }
  get publishedPartly() {
    return this.fact(this.groups.trust?.publishedWith)?.partly;
  }
  /** Whether other repositories or names may have brought the bytes. */
  get contentAddressed() {
    return this.groups.trust?.addressed?.shared;
  }
  /** A document whose key begins those of the names of these bytes. */
  get namedBy(): DocumentResource | undefined {
    const found = this.groups.trust?.addressed?.namedBy?.(this.named, this.binding.self);
    return found && this.binding.document(found);
  }
  get size() {
    return this.fact(this.groups.trust?.addressed?.size);
  }
}

/** The same bytes by their digest. In `key` and `upstreamPath`, `{digest}` stands for it. */
export interface PinnedResource {
  readonly key: string;
  readonly upstreamPath: string;
  /** The upstream's header that states the digest, lower-case. */
  readonly digestHeader: string;
}

/** The reading of a body as rows. */
export interface DocumentRows {
  /** The identity of the rows besides the bytes that they are of. */
  readonly name: string;
  read(): Promise<Table>;
  write(path: string, name: string): Promise<void>;
  open(table: Table): Parsed;
}

/** A mutable resource of a proxy. */
export class DocumentResource extends StoredResource {
  readonly kind = 'document';
  readonly isRendered: boolean;
  readonly #declared: DocumentClass<unknown, Parsed>;
  /** Whether it stands in for another form: looked for in the cache alone, without another form. */
  readonly #standsIn: boolean;

  constructor(binding: Binding, named: Resource, declared: DocumentClass<unknown, Parsed>, standsIn = false) {
    super(binding, named, declared);
    this.#declared = declared;
    this.#standsIn = standsIn;
    this.isRendered = declared.reply?.render !== undefined;
  }

  get variant() {
    return this.named.variant;
  }
  /** Whether the plugin reads it: then its bytes are known to be such a document. */
  get isParsed(): boolean {
    const { parse, table } = this.#declared;
    return parse !== undefined || table !== undefined || this.groups.trust?.verify !== undefined;
  }
  /** Whether it is read as rows: none, those that are too large to be parsed, or all. */
  get tabled(): 'never' | 'large' | 'always' {
    const { parse, table } = this.#declared;
    if (table === undefined) return 'never';
    return parse === undefined ? 'always' : 'large';
  }
  override get keptOnly(): boolean {
    return this.#standsIn || super.keptOnly;
  }
  /** The prefix of the cached keys that it lists, too. */
  get keptBelow() {
    return this.fact(this.groups.cache?.listsBelow);
  }
  get refusal(): LocalReply | undefined {
    return this.groups.policy?.refusal?.(this.named, this.binding.self);
  }
  /** The other form to serve when this one is not found. */
  get alternative(): DocumentResource | LocalReply | undefined {
    if (this.#standsIn) return undefined;
    const route = this.groups.cache?.alternative?.(this.named, this.binding.self);
    return route === undefined || isLocalReply(route) ? route : this.binding.document(route);
  }
  get unknownToSome() {
    return this.groups.upstream?.mayLack;
  }
  get pinned(): PinnedResource | undefined {
    const found = this.groups.trust?.addressed?.pinned?.(this.named, this.binding.self);
    const digestHeader = this.digestHeader?.toLowerCase() ?? '';
    return found && { key: found.key, upstreamPath: found.path ?? '', digestHeader };
  }

  /** The same, looked for in the cache alone. */
  asCached(): DocumentResource {
    return new DocumentResource(this.binding, this.named, this.#declared, true);
  }

  /** A document of the same class with another key. */
  at(key: string): DocumentResource {
    return new DocumentResource(this.binding, { ...this.named, key }, this.#declared);
  }

  /** @throws EntrepotError for a body that is no such document */
  async parse(content: Content, context: VerifyContext): Promise<Parsed> {
    const parsed = await this.call('parse', (self) => this.#declared.parse?.(content, this.named, context, self));
    return parsed ?? UNPARSED;
  }

  /** The reading of a body as rows. Only for what is `tabled`. */
  rows(content: Content, context: VerifyContext): DocumentRows {
    const { binding, named } = this;
    const { maker, revision, parameters, open } = this.#declared.table!;
    const given = parameters(named, context, binding.self);
    const read = <Result>(run: () => Promise<Result>): Promise<Result> => hook(binding.id, 'table', run);
    return {
      name: JSON.stringify([binding.id, this.class, revision, content.mediaType, given]),
      read: () => read(() => maker.read(content, given)),
      write: (path, name) => read(() => maker.write(path, name, content, given)),
      open: (table) => open(table, named, binding.self),
    };
  }

  /**
   * Makes what clients get.
   * @param parsed `UNPARSED` where there is no document
   */
  async render(parsed: Parsed, request: Omit<RenderRequest, 'resource'>): Promise<RenderedDocument> {
    const { parse, table, cache, reply } = this.#declared;
    const isMissing = parsed === UNPARSED && (parse ?? table) !== undefined;
    if (reply?.render === undefined || (isMissing && cache?.listsBelow === undefined))
      throw new EntrepotError('not-found', `${this.key} is not here`);
    const given = { ...request, resource: this.named };
    return await made(this.binding.id, 'render', () =>
      reply.render!((parsed === UNPARSED ? undefined : parsed) as Parsed, given, this.binding.self),
    );
  }
}

/** A document of a hosted repository, made from its entries. */
export class ListingResource extends StoredResource {
  readonly kind = 'listing';
  readonly isRendered = true;
  readonly #declared: ListingClass<unknown>;

  constructor(binding: Binding, named: Resource, declared: ListingClass<unknown>) {
    super(binding, named, declared);
    this.#declared = declared;
  }

  get variant() {
    return this.named.variant;
  }
  get selection(): EntrySelection {
    return this.#declared.entries(this.named, this.binding.self);
  }
  get isJoined(): boolean {
    return this.#declared.join !== undefined;
  }

  async render(entries: AsyncIterable<Entry>, context: ListingContext): Promise<RenderedDocument> {
    const { binding, named } = this;
    return await made(binding.id, 'render', () => this.#declared.render(named, entries, context, binding.self));
  }

  /** The bytes around and between the pieces. `undefined`: `render` makes this one. */
  async join(
    entries: readonly Entry[],
    context: Pick<RenderRequest, 'baseUrl' | 'admits' | 'refusal'>,
  ): Promise<readonly JoinedPiece[] | undefined> {
    return await this.call('join', (self) => this.#declared.join?.(this.named, entries, context, self));
  }
}
