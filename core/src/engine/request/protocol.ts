import type { AccessNeed } from '../../api/access.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import { asEntrepotError, type EntrepotError } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { PartReference, RenderedError, RequestHead } from '../../api/protocol.js';
import type { TokenRecord } from '../../api/token.js';
import type { AliasClass, ReadingContext } from '../../plugin/alias.js';
import type {
  ArtifactClass,
  ChangeClass,
  DocumentClass,
  Fact,
  ListingClass,
  Parsed,
  PassthroughClass,
  SessionClass,
} from '../../plugin/classes.js';
import type { CleanupContext, Retirement, StoredVersion } from '../../plugin/cleanup.js';
import type { AnyDeclaredPlugin, HostedSide, ProtocolInstance, ProxySide } from '../../plugin/protocol.js';
import { isLocalReply, type Resource, type Route } from '../../plugin/resource.js';
import type { Root } from '../../plugin/roots.js';
import { hook } from './call-hook.js';
import type { AliasResource, BoundResource, PassthroughResource, SessionResource, UploadResource } from './resource.js';
import { ArtifactResource, DocumentResource, ListingResource, type Binding } from './stored-resource.js';

/** Any class of either side. */
export type AnyClass = (
  | ArtifactClass<unknown>
  | DocumentClass<unknown, Parsed>
  | PassthroughClass<unknown>
  | AliasClass<unknown>
  | ListingClass<unknown>
  | ChangeClass<unknown>
  | SessionClass<unknown>
) & { readonly kind: string };

/** A side of a format, whatever its options and instances are. */
export type AnySide = HostedSide<unknown, TokenRecord, ProtocolInstance, AnyClass> &
  Pick<ProxySide<unknown, TokenRecord, ProtocolInstance, AnyClass>, 'roots'>;

const SIDES = ['proxy', 'hosted'] as const;

/** The kinds of resources that an alias may lead to. */
const LED_TO: ReadonlySet<string> = new Set<BoundResource['kind']>(['artifact', 'document', 'local']);

/** Gives the side of a format for one kind of repository. `undefined`: it has no such repositories. */
export function sideOf(plugin: AnyDeclaredPlugin, kind: 'proxy' | 'hosted'): AnySide | undefined {
  return plugin[kind] as AnySide | undefined;
}

/** Lists the kinds of repository of a format. */
export function kindsOf(plugin: AnyDeclaredPlugin): readonly ('proxy' | 'hosted')[] {
  return SIDES.filter((kind) => plugin[kind] !== undefined);
}

/** The facts of a class that can be configured under `cache.<class>`. */
export interface CacheClass {
  readonly kind: 'artifact' | 'document';
  readonly about: string;
  /** Differences from `DEFAULT_FRESHNESS`. */
  readonly freshness: Partial<FreshnessRule>;
}

/** Lists the classes of both sides that can be configured. */
export function cacheClassesOf(plugin: AnyDeclaredPlugin): Readonly<Record<string, CacheClass>> {
  const found: Record<string, CacheClass> = {};
  for (const side of ['hosted', 'proxy'] as const) {
    for (const [name, declared] of Object.entries(sideOf(plugin, side)?.classes ?? {})) {
      const { kind, about } = declared;
      if (kind === 'listing') found[name] = { kind: 'document', about, freshness: {} };
      if (kind !== 'artifact' && kind !== 'document') continue;
      const {
        except: _1,
        cachedOnly: _2,
        alternative: _3,
        listsBelow: _4,
        oneCopy: _5,
        ...freshness
      } = declared.cache ?? {};
      found[name] = { kind, about, freshness: freshness as Partial<FreshnessRule> };
    }
  }
  return found;
}

/** The hooks of cleanup in one repository. */
export interface CleanupHooks {
  stored(context: CleanupContext): AsyncIterable<readonly StoredVersion[]>;
  retire(versions: readonly StoredVersion[], context: CleanupContext): Promise<Retirement>;
}

/** The hooks of roots in one repository. */
export interface RootsHooks {
  list(context: ReadingContext): Promise<readonly Root[]>;
  refresh(name: string, context: ReadingContext): Promise<Root>;
  heldKeys?(context: ReadingContext): Promise<ReadonlySet<string>>;
}

/** A format in one repository: binds what its routes name to its classes. */
export class Protocol implements Binding {
  readonly id: string;
  readonly self: ProtocolInstance;
  readonly #side: AnySide;

  /** @param self the instance that `create` of the side made */
  constructor({ id }: Pick<AnyDeclaredPlugin, 'id'>, side: AnySide, self: ProtocolInstance) {
    this.id = id;
    this.#side = side;
    this.self = self;
  }

  /** @throws EntrepotError as the plugin refuses a request */
  route(head: RequestHead): BoundResource | undefined {
    try {
      const route = this.self.route(head);
      return route && this.bind(route);
    } catch (error) {
      throw asEntrepotError(error, 'plugin', `route of plugin ${this.id} failed`);
    }
  }

  /** @throws Error for a class that the plugin does not have */
  bind(route: Route): BoundResource {
    if (isLocalReply(route)) return { kind: 'local', ...route };
    const declared = this.#classOf(route);
    switch (declared.kind) {
      case 'artifact':
        return new ArtifactResource(this, route, declared);
      case 'document':
        return new DocumentResource(this, route, declared as DocumentClass<unknown, Parsed>);
      case 'listing':
        return new ListingResource(this, route, declared);
      case 'passthrough':
        return this.#passthrough(route, declared);
      case 'alias':
        return this.#alias(route, declared);
      case 'change':
        return this.#upload(route, declared);
      case 'session':
        return this.#session(route, declared);
    }
  }

  document(resource: Resource): DocumentResource {
    const bound = this.bind(resource);
    if (bound.kind === 'document') return bound;
    throw new Error(`the class "${resource.class}" is no class of documents`);
  }

  artifact(resource: Resource): ArtifactResource {
    const bound = this.bind(resource);
    if (bound.kind === 'artifact') return bound;
    throw new Error(`the class "${resource.class}" is no class of artifacts`);
  }

  /** Binds a resource that a hook reads. @throws Error for one that is not stored */
  stored(resource: Resource): ArtifactResource | DocumentResource {
    const bound = this.bind(resource);
    if (bound.kind === 'artifact' || bound.kind === 'document') return bound;
    throw new Error(`the class "${resource.class}" has nothing that is stored`);
  }

  /** `undefined`: the plugin leaves errors as plain text. */
  renderError(error: EntrepotError, resource?: BoundResource): RenderedError | undefined {
    const named = resource !== undefined && 'named' in resource ? resource.named : undefined;
    return this.#side.renderError?.(error, named, this.self);
  }

  documentPath(subject: PackageCoordinates): string | undefined {
    return this.#side.documentPath?.(subject, this.self);
  }

  partPath(whole: PackageCoordinates, part: PartReference): string | undefined {
    return this.#side.partPath?.(whole, part, this.self);
  }

  challenge(need: AccessNeed, context: { readonly baseUrl: string }): string | undefined {
    return this.#side.challenge?.(need, context, this.self);
  }

  /** `undefined`: only clients remove anything. */
  get cleanup(): CleanupHooks | undefined {
    const { cleanup } = this.#side;
    if (cleanup === undefined) return undefined;
    return {
      stored: (context) => cleanup.stored(context, this.self),
      retire: (versions, context) => cleanup.retire(versions, context, this.self),
    };
  }

  /** `undefined`: the format has none. */
  get roots(): RootsHooks | undefined {
    const { roots } = this.#side;
    if (roots === undefined) return undefined;
    return {
      list: (context) => roots.list(context, this.self),
      refresh: (name, context) => roots.refresh(name, context, this.self),
      ...(roots.heldKeys && { heldKeys: async (context) => (await roots.heldKeys?.(context, this.self)) ?? new Set() }),
    };
  }

  async dispose(): Promise<void> {
    await this.self.dispose?.();
  }

  #classOf({ class: name }: Resource): AnyClass {
    const { classes } = this.#side;
    const found = Object.hasOwn(classes, name) ? classes[name] : undefined;
    if (found === undefined) throw new Error(`there is no class "${name}"`);
    return found;
  }

  #fact<Value>(fact: Fact<Value, unknown> | undefined, resource: Resource): Value | undefined {
    return typeof fact === 'function'
      ? (fact as (resource: Resource, self: unknown) => Value)(resource, this.self)
      : fact;
  }

  #alias(named: Resource, declared: AliasClass<unknown>): AliasResource {
    return {
      kind: 'alias',
      named,
      key: named.key,
      class: named.class,
      coordinates: named.coordinates,
      accessName: this.#fact(declared.policy?.accessName, named),
      forAnyName: declared.policy?.forAnyName,
      resolve: async (context) =>
        await hook(this.id, 'resolve', async () => this.#ledTo(await declared.resolve(named, context, this.self))),
      resolveMissing: async (missing, context) =>
        await hook(this.id, 'resolveMissing', async () =>
          this.#ledTo(await declared.resolveMissing?.(named, missing, context, this.self)),
        ),
      replyHeaders: (context) => declared.replyHeaders?.(named, context, this.self),
      storedKeys: async (context) =>
        await hook(this.id, 'storedKeys', () => declared.storedKeys?.(named, context, this.self)),
    };
  }

  /** @throws Error for a resource that an alias cannot stand for */
  #ledTo(found: Route | undefined): BoundResource | undefined {
    const bound = found && this.bind(found);
    if (bound === undefined || LED_TO.has(bound.kind)) return bound;
    throw new Error(`an alias led to a resource of the kind ${bound.kind}`);
  }

  #passthrough(named: Resource, declared: PassthroughClass<unknown>): PassthroughResource {
    const { method, upstream, policy, adapt, shareFor } = declared;
    const { self } = this;
    return {
      kind: 'passthrough',
      named,
      method,
      name: named.key,
      upstreamPath: named.path ?? '',
      upstreamScope: named.scope,
      among: named.among,
      upstreamOrder: upstream?.order,
      accept: this.#fact(upstream?.accept, named),
      tokenScope: this.#fact(upstream?.tokenScope, named),
      accessName: this.#fact(policy?.accessName, named),
      forAnyName: policy?.forAnyName,
      names: this.#fact(policy?.names, named),
      adapt: adapt && {
        answerPath: adapt.answerPath,
        request: (body, context) => adapt.request(named, body, context, self),
        reply: (reply, context) => adapt.reply(named, reply, context, self),
      },
      shareFor,
    };
  }

  #upload(named: Resource, { action, bounds, policy, make }: ChangeClass<unknown>): UploadResource {
    const { key, coordinates, integrity } = named;
    return {
      kind: 'upload',
      named,
      action,
      key,
      class: bounds.of,
      coordinates,
      accessName: this.#fact(policy?.accessName, named),
      forAnyName: policy?.forAnyName,
      mediaType: this.#fact(bounds.mediaType, named),
      overwrite: this.#fact(bounds.overwrite, named) === true,
      maxBytes: this.#fact(bounds.maxBytes, named) ?? 0,
      integrity,
      exclusive: this.#fact(bounds.exclusive, named),
      make: make && ((content, context) => make(named, content, context, this.self)),
    };
  }

  #session(named: Resource, declared: SessionClass<unknown>): SessionResource {
    const { change, ...step } = declared.step(named, this.self);
    const upload = change && this.bind(change);
    if (upload !== undefined && upload.kind !== 'upload')
      throw new Error(`the class "${change?.class}" changes nothing`);
    return {
      kind: 'session',
      named,
      class: named.class,
      ...step,
      upload,
      accessName: this.#fact(declared.policy?.accessName, named),
      maxBytes: this.#fact(declared.maxBytes, named) ?? 0,
      reply: (action, state, context) => declared.reply({ ...step, action }, state, context, this.self),
    };
  }
}
