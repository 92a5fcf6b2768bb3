import type { Integrity } from '../../api/integrity.js';
import type {
  EntrySelection,
  ArtifactClass,
  ChangeClass,
  DocumentClass,
  Fact,
  ListingClass,
  Parsed,
  PassthroughClass,
  PolicyFacts,
  SessionClass,
} from '../../plugin/classes.js';
import type {
  ArtifactResource,
  DocumentResource,
  GuardedResource,
  LocalResource,
  PassthroughResource,
  PinnedResource,
  BoundResource,
  SessionResource,
  UploadResource,
} from './resource.js';
import { isLocalReply, type LocalReply, type Resource, type Route } from '../../plugin/resource.js';

/** Any class of either side. */
export type AnyClass = (
  | ArtifactClass<unknown>
  | DocumentClass<unknown, Parsed>
  | PassthroughClass<unknown>
  | ListingClass<unknown>
  | ChangeClass<unknown>
  | SessionClass<unknown>
) & { readonly kind: string };

/** Joins what routes name with what classes say, for one repository. */
export class Binder {
  readonly classes: Readonly<Record<string, AnyClass>>;
  readonly self: unknown;

  constructor(classes: Readonly<Record<string, AnyClass>>, self: unknown) {
    this.classes = classes;
    this.self = self;
  }

  /** @throws Error for a class that the plugin does not have */
  bind(route: Route): BoundResource {
    if (isLocalReply(route)) return localResource(route);
    const found = this.classOf(route);
    switch (found.kind) {
      case 'artifact':
        return new BoundArtifact(this, route, found);
      case 'document':
        return new BoundDocument(this, route, found as DocumentClass<unknown, Parsed>);
      case 'listing':
        return new BoundListing(this, route, found);
      case 'passthrough':
        return passthroughResource(this, route, found);
      case 'change':
        return uploadResource(this, route, found);
      case 'session':
        return sessionResource(this, route, found);
    }
  }

  stored(resource: Resource): ArtifactResource | DocumentResource {
    const bound = this.bind(resource);
    if (bound.kind === 'artifact' || bound.kind === 'document') return bound;
    throw new Error(`the class "${resource.class}" has nothing that is stored`);
  }

  document(resource: Resource | undefined): DocumentResource | undefined {
    if (resource === undefined) return undefined;
    const bound = this.bind(resource);
    if (bound.kind === 'document') return bound;
    throw new Error(`the class "${resource.class}" is no class of documents`);
  }

  classOf({ class: name }: Resource): AnyClass {
    const found = Object.hasOwn(this.classes, name) ? this.classes[name] : undefined;
    if (found === undefined) throw new Error(`there is no class "${name}"`);
    return found;
  }

  fact<Value>(fact: Fact<Value, unknown> | undefined, resource: Resource): Value | undefined {
    return typeof fact === 'function'
      ? (fact as (resource: Resource, self: unknown) => Value)(resource, this.self)
      : fact;
  }
}

/** The resource that a plugin named, of a bound one. */
export function namedBy(bound: object): Resource | undefined {
  return 'named' in bound ? (bound.named as Resource) : undefined;
}

type StoredClass = Pick<ArtifactClass<unknown>, 'cache' | 'upstream' | 'reply' | 'trust' | 'policy'>;

/** Common part of artifacts and documents. Facts are computed on access. */
class BoundStored {
  readonly binder: Binder;
  readonly named: Resource;
  readonly declared: StoredClass;
  readonly key: string;
  readonly class: string;
  readonly coordinates: Resource['coordinates'];
  /** A variant of the same resource that is only looked for in the cache. */
  onlyCached = false;

  constructor(binder: Binder, named: Resource, declared: StoredClass) {
    this.binder = binder;
    this.named = named;
    this.declared = declared;
    this.key = named.key;
    this.class = named.class;
    this.coordinates = named.coordinates;
  }

  protected fact<Value>(fact: Fact<Value, unknown> | undefined): Value | undefined {
    return fact === undefined ? undefined : this.binder.fact(fact, this.named);
  }

  get upstreamPath() {
    return this.named.path ?? '';
  }
  get upstreamScope() {
    return this.named.scope;
  }
  get upstreamOrder() {
    return this.declared.upstream?.order;
  }
  get accept() {
    return this.fact(this.declared.upstream?.accept);
  }
  get askedWith() {
    return this.fact(this.declared.upstream?.headers);
  }
  get redirects() {
    return this.fact(this.declared.upstream?.redirects);
  }
  get tokenScope() {
    return this.fact(this.declared.upstream?.tokenScope);
  }
  get expectedMediaTypes() {
    return this.fact(this.declared.upstream?.expects);
  }
  get maxBytes() {
    return this.fact(this.declared.upstream?.maxBytes);
  }
  get produced(): boolean {
    const { produce } = this.declared.upstream ?? {};
    return produce !== undefined && (produce.applies?.(this.named, this.binder.self) ?? true);
  }
  get accessName() {
    return this.fact(this.declared.policy?.accessName);
  }
  get forAnyName() {
    return this.declared.policy?.forAnyName;
  }
  get mediaType() {
    return this.fact(this.declared.reply?.mediaType);
  }
  get fallbackMediaType() {
    return this.fact(this.declared.reply?.fallbackMediaType);
  }
  get replyHeaders() {
    return this.fact(this.declared.reply?.headers);
  }
  get digestHeader() {
    return this.fact(this.declared.reply?.digestHeader);
  }
  get keepHeaders() {
    return this.fact(this.declared.reply?.keepHeaders);
  }
  get keepsCoding() {
    return this.declared.reply?.keepsCoding;
  }
  get vary() {
    return this.fact(this.declared.reply?.vary);
  }
  get keptOnly(): boolean {
    return this.onlyCached || this.fact(this.declared.cache?.cachedOnly) === true;
  }
  get freshness() {
    return this.declared.cache?.except?.(this.named, this.binder.self);
  }
  get describedBy() {
    const found = this.declared.trust?.describedBy?.(this.named, this.binder.self);
    if (found === undefined || 'class' in found) return this.binder.document(found);
    return found.map((document) => this.binder.document(document) as DocumentResource);
  }
  get describedBrieflyBy() {
    return this.binder.document(this.declared.trust?.describedBrieflyBy?.(this.named, this.binder.self));
  }
  get describedFor() {
    return this.declared.trust?.describedFor;
  }
  get sidecar() {
    return this.fact(this.declared.policy?.sidecar);
  }
  get sidecarOf() {
    return this.fact(this.declared.policy?.sidecarOf);
  }
  get refusedOnlyIfMalicious() {
    return this.fact(this.declared.policy?.refusedOnlyIfMalicious);
  }
}

class BoundArtifact extends BoundStored implements ArtifactResource {
  readonly kind = 'artifact';
  /** Of a set whose members name each other: the set that this one was named in. */
  set: readonly BoundArtifact[] | undefined;

  get filename(): string {
    return this.fact(this.declared.reply?.filename) ?? this.key.slice(this.key.lastIndexOf('/') + 1);
  }
  get integrity(): readonly Integrity[] | undefined {
    return this.named.integrity;
  }
  get descriptionOptional() {
    return this.fact(this.declared.trust?.descriptionOptional);
  }
  get verifiedBy() {
    return this.binder.document(this.declared.trust?.verifiedBy?.(this.named, this.binder.self));
  }
  get together(): readonly ArtifactResource[] | undefined {
    if (this.set !== undefined) return this.set;
    const found = this.fact(this.declared.trust?.together);
    if (found === undefined) return undefined;
    this.set = found.members.map((member) =>
      member.key === this.key ? this : (this.binder.stored(member) as BoundArtifact),
    );
    for (const member of this.set) member.set = this.set;
    return this.set;
  }
  get togetherPartly() {
    return this.fact(this.declared.trust?.together)?.partly;
  }
  get contentAddressed() {
    return this.declared.trust?.addressed?.shared;
  }
  get namedBelow() {
    return this.binder.document(this.declared.trust?.addressed?.namedBelow?.(this.named, this.binder.self));
  }
  get size() {
    return this.fact(this.declared.trust?.addressed?.size);
  }
}

class BoundDocument extends BoundStored implements DocumentResource {
  readonly kind = 'document';
  readonly #declared: DocumentClass<unknown, Parsed>;
  /** A form that stands in by itself has no other form. */
  #standsAlone = false;

  constructor(binder: Binder, named: Resource, declared: DocumentClass<unknown, Parsed>) {
    super(binder, named, declared as StoredClass);
    this.#declared = declared;
  }

  get variant() {
    return this.named.variant;
  }
  get rewritten(): boolean {
    return this.#declared.reply?.render !== undefined;
  }
  get keptBelow() {
    return this.fact(this.#declared.cache?.listsBelow);
  }
  get refusal(): LocalResource | undefined {
    const refusal = this.#declared.policy?.refusal?.(this.named, this.binder.self);
    return refusal && localResource(refusal);
  }
  get alternative(): DocumentResource | LocalResource | undefined {
    const route = this.#standsAlone ? undefined : this.#declared.cache?.alternative?.(this.named, this.binder.self);
    return route && (this.binder.bind(route) as DocumentResource | LocalResource);
  }
  get unknownToSome() {
    return this.#declared.upstream?.mayLack;
  }
  get pinned(): PinnedResource | undefined {
    const found = this.#declared.trust?.addressed?.pinned?.(this.named, this.binder.self);
    const digestHeader = this.digestHeader?.toLowerCase() ?? '';
    return found && { key: found.key, upstreamPath: found.path ?? '', digestHeader };
  }

  /** The same, looked for in the cache alone, without its other form. */
  asCached(): DocumentResource {
    const cached = new BoundDocument(this.binder, this.named, this.#declared);
    cached.onlyCached = cached.#standsAlone = true;
    return cached;
  }
}

class BoundListing extends BoundStored implements DocumentResource {
  readonly kind = 'document';
  readonly #declared: ListingClass<unknown>;

  constructor(binder: Binder, named: Resource, declared: ListingClass<unknown>) {
    super(binder, named, declared as StoredClass);
    this.#declared = declared;
  }

  get variant() {
    return this.named.variant;
  }
  get fromEntries(): EntrySelection {
    return this.#declared.entries(this.named, this.binder.self);
  }
}

function guarded(binder: Binder, named: Resource, policy: PolicyFacts<unknown> | undefined): GuardedResource {
  return { accessName: binder.fact(policy?.accessName, named), forAnyName: policy?.forAnyName };
}

function localResource({ status, headers, body }: LocalReply): LocalResource {
  return { kind: 'local', status, headers, body };
}

function passthroughResource(
  binder: Binder,
  named: Resource,
  { method, upstream, policy, adapt, shareFor }: PassthroughClass<unknown>,
): PassthroughResource & { readonly named: Resource } {
  return {
    kind: 'passthrough',
    named,
    method,
    name: named.key,
    upstreamPath: named.path ?? '',
    upstreamScope: named.scope,
    upstreamOrder: upstream?.order,
    accept: binder.fact(upstream?.accept, named),
    tokenScope: binder.fact(upstream?.tokenScope, named),
    names: binder.fact(policy?.names, named),
    adapted: adapt !== undefined,
    answerPath: adapt?.answerPath,
    shareFor,
    ...guarded(binder, named, policy),
  };
}

function uploadResource(
  binder: Binder,
  named: Resource,
  { action, bounds, policy, make }: ChangeClass<unknown>,
): UploadResource & { readonly named: Resource } {
  return {
    kind: 'upload',
    named,
    action,
    key: named.key,
    class: bounds.of,
    filename: named.key.slice(named.key.lastIndexOf('/') + 1),
    coordinates: named.coordinates,
    mediaType: binder.fact(bounds.mediaType, named),
    overwrite: make !== undefined || binder.fact(bounds.overwrite, named) === true,
    maxBytes: binder.fact(bounds.maxBytes, named) ?? 0,
    integrity: named.integrity,
    exclusive: binder.fact(bounds.exclusive, named),
    attributes: named.attributes,
    ...guarded(binder, named, policy),
  };
}

function sessionResource(
  binder: Binder,
  named: Resource,
  declared: SessionClass<unknown>,
): SessionResource & { readonly named: Resource } {
  const { action, owner, id, range, change } = declared.step(named, binder.self);
  return {
    kind: 'session',
    named,
    action,
    class: named.class,
    scope: owner,
    id,
    range,
    upload: change && (binder.bind(change) as UploadResource),
    maxBytes: binder.fact(declared.maxBytes, named) ?? 0,
    ...guarded(binder, named, declared.policy),
  };
}
