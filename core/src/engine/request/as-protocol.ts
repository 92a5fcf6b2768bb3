import type { Content } from '../../api/content.js';
import { EntrepotError } from '../../api/errors.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { HostedChange } from '../../api/hosted.js';
import type { ArtifactDescription } from '../../api/protocol.js';
import type {
  Descriptions,
  EngineProtocol,
  EnginePlugin as BoundPlugin,
  ResourceClass,
  RewriteContext,
  HookContext as BoundVerifyContext,
} from './protocol.js';
import type { ArtifactResource, DocumentResource, BoundResource, UploadResource } from './resource.js';
import type { TokenRecord } from '../../api/token.js';
import { Binder, namedBy, type AnyClass } from './bind.js';
import type { DocumentClass, Parsed, RenderRequest, VerifyContext } from '../../plugin/classes.js';
import type { ProtocolDeclaration, ProtocolInstance, ProtocolPlugin, ProtocolSide } from '../../plugin/protocol.js';
import type { Resource } from '../../plugin/resource.js';

type AnySide = ProtocolSide<unknown, TokenRecord, ProtocolInstance, AnyClass>;
type AnyDeclaration = Omit<ProtocolDeclaration, 'proxy' | 'hosted'> & {
  readonly proxy?: AnySide;
  readonly hosted?: AnySide;
};

/** Whether a plugin declares classes for each of its sides. */
export function isDeclared(plugin: object): boolean {
  return 'proxy' in plugin || 'hosted' in plugin;
}

/** Gives the plugin in the shape that the engine works with. */
export function asProtocolPlugin(plugin: object): BoundPlugin {
  if (!isDeclared(plugin)) return plugin as BoundPlugin;
  const { kind, apiVersion, id, options, inject, names, http, clients, proxy, hosted } = plugin as AnyDeclaration &
    Pick<ProtocolPlugin, 'kind' | 'apiVersion'>;
  const { pattern, claimTypes } = names ?? {};
  return withoutAbsent<BoundPlugin>({
    kind,
    apiVersion,
    id,
    options,
    inject,
    kinds: [...(proxy === undefined ? [] : ['proxy' as const]), ...(hosted === undefined ? [] : ['hosted' as const])],
    classes: { ...resourceClasses(hosted), ...resourceClasses(proxy) },
    ...http,
    ownOptions: { proxy: proxy?.ownOptions ?? [], hosted: hosted?.ownOptions ?? [] },
    accessNames: pattern,
    claimTypes,
    discoverUpstreams: clients?.discoverUpstreams?.bind(clients),
    clientSetup: clients?.setup?.bind(clients),
    async create(context) {
      const side = context.repository.kind === 'proxy' ? proxy : hosted;
      if (side === undefined) throw new Error(`${id} has no ${context.repository.kind} repositories`);
      const self = await side.create(context);
      // Anything but an instance is refused by the caller, which names the plugin.
      return isInstance(self) ? protocolOf(side, self) : (self as EngineProtocol);
    },
  });
}

function isInstance(made: unknown): made is ProtocolInstance {
  const { route, dispose } = (made ?? {}) as Partial<ProtocolInstance>;
  return typeof route === 'function' && (dispose === undefined || typeof dispose === 'function');
}

/** Leaves out the members that are `undefined`: to the engine, a hook that is there is one that does something. */
function withoutAbsent<Shape extends object>(made: { readonly [Name in keyof Shape]: Shape[Name] | undefined }): Shape {
  return Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)) as unknown as Shape;
}

function resourceClasses(side: AnySide | undefined): Record<string, ResourceClass> {
  const found: Record<string, ResourceClass> = {};
  for (const [name, declared] of Object.entries(side?.classes ?? {})) {
    if (declared.kind === 'listing') {
      found[name] = { kind: 'document', description: declared.about, cacheControl: declared.reply?.cacheControl };
    }
    if (declared.kind !== 'artifact' && declared.kind !== 'document') continue;
    const { except: _1, cachedOnly: _2, alternative: _3, listsBelow: _4, ...freshness } = declared.cache ?? {};
    found[name] = {
      kind: declared.kind,
      description: declared.about,
      freshness: freshness as Partial<FreshnessRule>,
      cacheControl: declared.reply?.cacheControl,
    };
  }
  return found;
}

/** The descriptions of a parsed document, as the engine looks them up. */
class ParsedDescriptions extends Map<string, ArtifactDescription> implements Descriptions {
  readonly parsed: Parsed;

  constructor(parsed: Parsed) {
    super();
    this.parsed = parsed;
  }

  get unlisted() {
    return this.parsed.unlisted;
  }
  override get size(): number {
    // The bound of what is kept parsed counts descriptions: about 500 bytes each.
    return Math.ceil(this.parsed.weight / 500);
  }
  override get(key: string): ArtifactDescription | undefined {
    return this.parsed.describe?.(key);
  }
  override has(key: string): boolean {
    return this.get(key) !== undefined;
  }
  override *[Symbol.iterator](): MapIterator<[string, ArtifactDescription]> {
    for (const [key, description] of this.parsed.descriptions?.() ?? []) yield [key, description];
  }
  override entries(): MapIterator<[string, ArtifactDescription]> {
    return this[Symbol.iterator]();
  }
  override *values(): MapIterator<ArtifactDescription> {
    for (const [, description] of this) yield description;
  }
  override *keys(): MapIterator<string> {
    for (const [key] of this) yield key;
  }
}

function named(resource: object): Resource {
  return namedBy(resource) as Resource;
}

function protocolOf(side: AnySide, self: ProtocolInstance): EngineProtocol {
  const binder = new Binder(side.classes, self);
  const classes = Object.values(side.classes);
  const has = (hook: (one: AnyClass) => unknown): boolean => classes.some((one) => hook(one) !== undefined);
  const classOf = <Class extends AnyClass>(resource: object): Class => binder.classOf(named(resource)) as Class;

  // Whether a hook asks which facts are wanted is noted by who calls it.
  const contextOf = (context: BoundVerifyContext): VerifyContext => ({
    get needs() {
      return context.needs;
    },
    description: context.description,
    headers: context.headers ?? {},
    ...(context.arriving && { arriving: (parsed: Parsed) => context.arriving?.(new ParsedDescriptions(parsed)) }),
    read: (other) => context.read(binder.stored(other)),
  });

  return withoutAbsent<EngineProtocol>({
    route(head) {
      const route = self.route(head);
      return route && binder.bind(route);
    },
    describe: has((one) => (one.kind === 'document' ? (one.parse ?? one.trust?.verify) : undefined))
      ? async (document, content, context) => {
          const found = classOf<DocumentClass<unknown, Parsed>>(document);
          if (found.kind !== 'document') return new Map();
          const made = contextOf(context);
          await found.trust?.verify?.(named(document), content, made, self);
          if (found.parse === undefined) return new Map();
          return new ParsedDescriptions(await found.parse(content, named(document), made, self));
        }
      : undefined,
    rewrite: has((one) => (one.kind === 'document' ? one.reply?.render : undefined))
      ? (document, content, context) => {
          const { parse, cache, reply: { render } = {} } = classOf<DocumentClass<unknown, Parsed>>(document);
          if (render === undefined) throw new Error(`the class "${document.class}" has no render`);
          const { descriptions } = context;
          const parsed = descriptions instanceof ParsedDescriptions ? descriptions.parsed : undefined;
          if (parsed === undefined && parse !== undefined && cache?.listsBelow === undefined)
            throw new EntrepotError('not-found', `${document.key} is not here`);
          return render(parsed as Parsed, renderRequest(document, content, context), self);
        }
      : undefined,
    documentPath: side.documentPath && ((subject) => side.documentPath?.(subject, self)),
    partPath: side.partPath && ((whole, part) => side.partPath?.(whole, part, self)),
    partsOf: has((one) => ('policy' in one && one.policy && 'parts' in one.policy ? one.policy.parts : undefined))
      ? async (resource, content) => {
          const { policy } = classOf<DocumentClass>(resource);
          return (await policy?.parts?.(named(resource), content, self)) ?? [];
        }
      : undefined,
    produce: async (resource, { folder, signal, read }) => {
      const { upstream } = classOf<DocumentClass>(resource);
      if (upstream?.produce === undefined) throw new Error(`the class "${resource.class}" has no produce`);
      return await upstream.produce.make(
        named(resource),
        { folder, signal, read: (other) => read(binder.stored(other)) },
        self,
      );
    },
    mediaTypeOf: has((one) =>
      'reply' in one && one.reply && 'mediaTypeOf' in one.reply ? one.reply.mediaTypeOf : undefined,
    )
      ? async (resource, content) =>
          await classOf<DocumentClass>(resource).reply?.mediaTypeOf?.(named(resource), content, self)
      : undefined,
    namedPart: has((one) => ('trust' in one ? one.trust?.addressed?.part : undefined))
      ? async (resource, content) =>
          await classOf<DocumentClass>(resource).trust?.addressed?.part?.(named(resource), content, self)
      : undefined,
    verify: has((one) => ('trust' in one ? one.trust?.verify : undefined))
      ? async (artifact, content, context) =>
          await classOf<DocumentClass>(artifact).trust?.verify?.(named(artifact), content, contextOf(context), self)
      : undefined,
    renderError:
      side.renderError &&
      ((error, resource) => side.renderError?.(error, resource && namedBy(resource), self) as never),
    adaptRequest: (resource, body, context) => {
      const declared = binder.classOf(named(resource));
      if (declared.kind !== 'passthrough' || declared.adapt === undefined)
        throw new Error(`the class "${named(resource).class}" adapts nothing`);
      return declared.adapt.request(named(resource), body, context, self);
    },
    adaptReply: (resource, reply, requestBody) => {
      const declared = binder.classOf(named(resource));
      if (declared.kind !== 'passthrough' || declared.adapt === undefined)
        throw new Error(`the class "${named(resource).class}" adapts nothing`);
      return declared.adapt.reply(named(resource), reply, requestBody, self);
    },
    receive: has((one) => (one.kind === 'change' ? one.make : undefined))
      ? async (upload, content, context) => {
          const declared = binder.classOf(named(upload));
          const made =
            declared.kind === 'change' ? await declared.make?.(named(upload), content, context, self) : undefined;
          return made ?? wholeBody(upload);
        }
      : undefined,
    alter: has((one) => (one.kind === 'change' ? one.make : undefined))
      ? async (upload, context) => {
          const declared = binder.classOf(named(upload));
          if (declared.kind === 'change' && declared.make !== undefined)
            return await declared.make(named(upload), NO_BODY, context, self);
          const kept = await context.find(upload.key);
          if (kept === undefined) throw new EntrepotError('not-found', `${upload.key} does not exist`);
          return { remove: [upload.key], expect: [{ key: upload.key, digest: kept.digest }] };
        }
      : undefined,
    sessionReply: (session, state, context) => {
      const declared = binder.classOf(named(session));
      if (declared.kind !== 'session') throw new Error(`the class "${named(session).class}" has no sessions`);
      const { action, scope: owner, id, range } = session;
      return declared.reply({ action, owner, id, range }, state, context, self);
    },
    render: async (document, entries, context) => {
      const declared = binder.classOf(named(document));
      if (declared.kind !== 'listing') throw new Error(`the class "${named(document).class}" lists nothing`);
      return await declared.render(named(document), entries, context, self);
    },
    join: has((one) => (one.kind === 'listing' ? one.join : undefined))
      ? (document, entries, context) => {
          const declared = binder.classOf(named(document));
          return declared.kind === 'listing' ? declared.join?.(named(document), entries, context, self) : undefined;
        }
      : undefined,
    challenge: side.challenge && ((need, context) => side.challenge?.(need, context, self) as string),
    async dispose() {
      await self.dispose?.();
    },
  });
}

const NO_BODY: Content = {
  size: 0,
  mediaType: 'application/octet-stream',
  async *stream() {},
  bytes: () => Promise.resolve(new Uint8Array()),
};

function wholeBody({
  key,
  mediaType = 'application/octet-stream',
  coordinates,
  overwrite,
}: UploadResource): HostedChange {
  const entry = { key, mediaType, coordinates };
  return overwrite ? { replace: [entry] } : { create: [entry] };
}

function renderRequest(document: DocumentResource, content: Content, context: RewriteContext): RenderRequest {
  const { baseUrl, headers, keptKeys: cachedKeys, isAbsent = false, isArriving, admits, refusal } = context;
  return { resource: named(document), content, isAbsent, isArriving, baseUrl, headers, cachedKeys, admits, refusal };
}

/** Gives what a bound resource stands for, for tables and messages. */
export function shownAs(resource: BoundResource | ArtifactResource): object {
  return namedBy(resource) ?? resource;
}
