import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { IntegrityAlgorithm } from '../../api/integrity.js';
import type { ProducedFile } from '../../api/protocol.js';
import type {
  ArtifactClass,
  DocumentClass,
  Fact,
  ListingClass,
  LocateContext,
  Location,
  Parsed,
  ProduceContext,
  VerifyContext,
} from '../../plugin/classes.js';
import type { Resource } from '../../plugin/resource.js';
import { hook } from './call-hook.js';

/** The side of a plugin in one repository, which names are bound to. */
export interface Side {
  /** The plugin's. */
  readonly id: string;
  /** The instance that `create` made. */
  readonly self: unknown;
}

/** A resource that the upstream can be asked for. */
export interface UpstreamLocation {
  readonly upstreamPath: string;
  /** Other paths of the same bytes, for where no upstream has them there. */
  readonly otherPaths?: readonly string[] | undefined;
  readonly upstreamScope?: string | undefined;
  /** URLs of those of the scope that are asked. Absent: all. */
  readonly among?: readonly string[] | undefined;
  readonly upstreamOrder?: 'mirrors' | 'origins' | undefined;
  readonly redirects?: 'follow' | 'directories' | 'pass' | undefined;
  readonly tokenScope?: string | undefined;
}

/** A class whose resources are stored. */
export type StoredClass = ArtifactClass<unknown> | DocumentClass<unknown, Parsed> | ListingClass<unknown>;
type Groups = Pick<ArtifactClass<unknown>, 'cache' | 'upstream' | 'reply' | 'trust' | 'policy'>;

/** A name with the facts and hooks of its class. Facts are computed on access; what fails in a hook is the plugin's. */
export abstract class ResourceFacts<Bound extends Side = Side> implements UpstreamLocation {
  abstract readonly kind: 'artifact' | 'document' | 'listing';
  /** Whether its class makes what clients get out of the stored bytes. */
  abstract readonly isRendered: boolean;
  readonly named: Resource;
  readonly key: string;
  readonly class: string;
  readonly coordinates: PackageCoordinates | undefined;
  protected readonly binding: Bound;
  protected readonly groups: Groups;

  constructor(binding: Bound, named: Resource, declared: StoredClass) {
    this.binding = binding;
    this.named = named;
    this.key = named.key;
    this.class = named.class;
    this.coordinates = named.coordinates;
    this.groups = declared as Groups;
  }

  protected fact<Value>(fact: Fact<Value, unknown> | undefined): Value | undefined {
    return typeof fact === 'function'
      ? (fact as (resource: Resource, self: unknown) => Value)(this.named, this.binding.self)
      : fact;
  }

  get upstreamPath(): string {
    return this.named.path ?? '';
  }
  get otherPaths() {
    return this.named.otherPaths;
  }
  get upstreamScope() {
    return this.named.scope;
  }
  get among(): readonly string[] | undefined {
    return this.groups.upstream?.among?.(this.named, this.binding.self) ?? this.named.among;
  }
  get upstreamOrder() {
    return this.groups.upstream?.order;
  }
  get accept() {
    return this.fact(this.groups.upstream?.accept);
  }
  /** Request headers of the client that the upstream chooses its answer by. */
  get askedWith() {
    return this.fact(this.groups.upstream?.headers);
  }
  get redirects() {
    return this.fact(this.groups.upstream?.redirects);
  }
  get tokenScope() {
    return this.fact(this.groups.upstream?.tokenScope);
  }
  get expectedMediaTypes() {
    return this.fact(this.groups.upstream?.expects);
  }
  get maxBytes() {
    return this.fact(this.groups.upstream?.maxBytes);
  }
  /** Whether the bytes are made here instead of fetched. */
  get produced(): boolean {
    const produce = this.groups.upstream?.produce;
    return produce !== undefined && (produce.applies?.(this.named, this.binding.self) ?? true);
  }
  get accessName() {
    return this.fact(this.groups.policy?.accessName);
  }
  get forAnyName() {
    return this.groups.policy?.forAnyName;
  }
  get mediaType() {
    return this.fact(this.groups.reply?.mediaType);
  }
  get fallbackMediaType() {
    return this.fact(this.groups.reply?.fallbackMediaType);
  }
  /** Whether the class can read the media type out of the bytes. */
  get readsMediaType(): boolean {
    return this.groups.reply?.mediaTypeOf !== undefined;
  }
  get cacheControl(): string {
    return this.groups.reply?.cacheControl ?? 'no-cache';
  }
  get replyHeaders() {
    return this.fact(this.groups.reply?.headers);
  }
  get digestHeader() {
    return this.fact(this.groups.reply?.digestHeader);
  }
  get keepHeaders(): readonly string[] {
    return this.fact(this.groups.reply?.keepHeaders) ?? [];
  }
  /** The headers that tell the sums of the bytes, by algorithm. */
  get sumHeaders(): Readonly<Partial<Record<IntegrityAlgorithm, string>>> {
    return this.groups.reply?.sumHeaders ?? {};
  }
  get keepsCoding() {
    return this.groups.reply?.keepsCoding;
  }
  get severalRanges() {
    return this.groups.reply?.severalRanges;
  }
  get vary() {
    return this.fact(this.groups.reply?.vary);
  }
  /** Whether the cached copy is wanted however old, and no upstream is asked. */
  get keptOnly(): boolean {
    return this.fact(this.groups.cache?.cachedOnly) === true;
  }
  /** Whether replicas look for the copy that another one has put. */
  get isOneCopy(): boolean {
    return this.groups.cache?.oneCopy === true;
  }
  /** Exceptions from the rule of the class. */
  get freshness() {
    return this.groups.cache?.except?.(this.named, this.binding.self);
  }
  get readFor() {
    return this.groups.trust?.readFor;
  }
  /** Headers of the upstream's reply that state a sum of its body, and their algorithms. */
  get promisedInHeaders(): Readonly<Record<string, IntegrityAlgorithm>> {
    return this.groups.trust?.promisedInHeaders ?? {};
  }
  get describedFor() {
    return this.groups.trust?.describedFor;
  }
  get sidecar() {
    return this.fact(this.groups.policy?.sidecar);
  }
  get sidecarOf() {
    return this.fact(this.groups.policy?.sidecarOf);
  }
  /** Whether it lists versions whose dates stand elsewhere. */
  get isUndated(): boolean {
    return this.groups.policy?.undated === true;
  }
  get refusedOnlyIfMalicious() {
    return this.fact(this.groups.policy?.refusedOnlyIfMalicious);
  }
  /** Whether the class tells the parts that its bytes name. */
  get hasParts(): boolean {
    return this.groups.policy?.parts !== undefined;
  }

  /** @throws EntrepotError `integrity` when the bytes are not what the ecosystem promised */
  async verify(content: Content, context: VerifyContext): Promise<void> {
    await this.call('verify', (self) => this.groups.trust?.verify?.(this.named, content, context, self));
  }

  /** Whether its class looks for the place of its bytes. */
  get isLocated(): boolean {
    return this.groups.upstream?.locate !== undefined;
  }

  /** Finds a place outside of the upstream's base URL. `undefined`: the bytes are where path and description say. */
  async locate(context: LocateContext): Promise<Location | undefined> {
    return await this.call('locate', (self) => this.groups.upstream?.locate?.(this.named, context, self));
  }

  /** Makes the bytes; for one of a set those of all its members. */
  async produce(context: ProduceContext): Promise<readonly ProducedFile[]> {
    return (await this.call('produce', (self) => this.groups.upstream?.produce?.make(this.named, context, self))) ?? [];
  }

  async partsOf(content: Content): Promise<readonly PackageCoordinates[]> {
    return (await this.call('parts', (self) => this.groups.policy?.parts?.(this.named, content, self))) ?? [];
  }

  async mediaTypeOf(content: Content): Promise<string | undefined> {
    return await this.call('mediaTypeOf', (self) => this.groups.reply?.mediaTypeOf?.(this.named, content, self));
  }

  /** The part of the bytes that their digest covers, where that is not the whole. */
  async digestedPart(content: Content): Promise<Uint8Array | undefined> {
    return await this.call('part', (self) => this.groups.trust?.addressed?.part?.(this.named, content, self));
  }

  protected call<Result>(
    name: string,
    run: (self: unknown) => Result | Promise<Result> | undefined,
  ): Promise<Result | undefined> {
    return hook(this.binding.id, name, () => run(this.binding.self));
  }
}
