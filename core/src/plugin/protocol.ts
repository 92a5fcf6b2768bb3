import type { AccessNeed } from '../api/access.js';
import type { PackageCoordinates } from '../api/coordinates.js';
import type { EntrepotError } from '../api/errors.js';
import type { StandardSchema } from '../api/options.js';
import type {
  ClientSetup,
  ClientSetupContext,
  DiscoveredUpstream,
  DiscoveryContext,
  DotSegments,
  OtherBytes,
  PartReference,
  RenderedError,
  RepositoryFacts,
  RequestHead,
  SharedAnswer,
  SharedRepository,
} from '../api/protocol.js';
import type { Injected, TokenRecord } from '../api/token.js';
import { API_VERSION } from '../api/version.js';
import type { HostedClass, ProxyClass } from './classes.js';
import type { Cleanup } from './cleanup.js';
import type { Resource, Route } from './resource.js';
import type { Roots } from './roots.js';

/** A format in one repository, as `create` of a side makes it. Plugins add members for their hooks, which get it as `self`. */
export interface ProtocolInstance {
  /**
   * Names what a request is for. `undefined` is 404. Pure, synchronous and total: it never throws anything but an `EntrepotError` of kind
   * `bad-request`, `not-found`, `forbidden` or `method-not-allowed`. Called once a request, before anything else. HEAD routes as GET does.
   */
  route(head: RequestHead): Route | undefined;
  /** Called once, when the repository is closed, also because another configuration is in force: then another instance may serve already. */
  dispose?(): Promise<void>;
}

/** Context of `create`. */
export interface CreateContext<Options, Deps extends TokenRecord> {
  /** Exactly the services that `inject` names, under the same names. */
  readonly services: Injected<Deps>;
  /** As the schema of the plugin returned them. */
  readonly options: Options;
  readonly repository: RepositoryFacts;
}

/** One kind of repository of a format: how it is made, and its classes. */
export interface ProtocolSide<Options, Deps extends TokenRecord, Self extends ProtocolInstance, Class> {
  /** The classes of its resources, by name. Those of artifacts and documents can be configured under `cache.<class>`. */
  readonly classes: Readonly<Record<string, Class>>;
  /**
   * Makes the format for one repository. Called once for each, at the start. Opens what it needs within 10 seconds, and asks no upstream.
   * @throws EntrepotError `configuration` for options that the schema could not refuse. Whatever it throws stops the start
   */
  create(context: CreateContext<Options, Deps>): Self | Promise<Self>;
  /** Keys of the options that only this kind of repository has. They are refused in repositories of the other kind. Absent: none. */
  readonly ownOptions?: readonly string[] | undefined;
  /** Prints an error in the shape that the ecosystem's clients show. Absent: plain text. Must not throw. */
  renderError?(error: EntrepotError, resource: Resource | undefined, self: Self): RenderedError;
  /**
   * Gives the path below the repository, as clients send it, of the document that describes all versions of a name, or of the artifact of one
   * version where each version has a document of its own. Pure. `undefined`: there is none.
   */
  documentPath?(subject: PackageCoordinates, self: Self): string | undefined;
  /** Gives the path of bytes that something is made of: the manifests and layers of an image. Pure. `undefined`: there are none. */
  partPath?(whole: PackageCoordinates, part: PartReference, self: Self): string | undefined;
  /** Gives the `WWW-Authenticate` value for unauthenticated requests (RFC 9110 §11.6.1). Pure. Absent: as the access of the repository says. */
  challenge?(need: AccessNeed, context: { readonly baseUrl: string }, self: Self): string;
}

/** The proxies of a format. */
export interface ProxySide<
  Options,
  Deps extends TokenRecord,
  Self extends ProtocolInstance,
  Class = ProxyClass<Self>,
> extends ProtocolSide<Options, Deps, Self, Class> {
  /** Parts of the upstream that are published as a whole. Absent: there are none. */
  readonly roots?: Roots<Self> | undefined;
}

/** The hosted repositories of a format. */
export interface HostedSide<
  Options,
  Deps extends TokenRecord,
  Self extends ProtocolInstance,
  Class = HostedClass<Self>,
> extends ProtocolSide<Options, Deps, Self, Class> {
  /** Removal of versions by rules. Absent: only clients remove any. */
  readonly cleanup?: Cleanup<Self> | undefined;
}

/** Settings of a format for HTTP, apart from its resources. */
export interface HttpFacts {
  /** Paths that the ecosystem fixes (`/v2`), shared by all repositories that name them. `RequestHead.mount` says which it was. Absent: none. */
  readonly sharedMounts?: readonly string[] | undefined;
  /** The mount of a repository with a listener of its own. Absent: `/<name>`. */
  readonly mountAlone?: string | undefined;
  /** Finds the repository of a request at a shared mount whose first segment names none. Pure. `undefined`: nothing is there. */
  select?(head: RequestHead, repositories: readonly SharedRepository[], named?: string): SharedAnswer | undefined;
  /**
   * Gives the `Authorization` value that stands for credentials of the ecosystem's own form: a key without a scheme, another header, a
   * token in the path. Pure. `undefined`: the header as it was sent.
   */
  credentials?(head: RequestHead): string | undefined;
  /** Headers of every reply, errors included; names as they are sent. Absent: none. */
  readonly replyHeaders?: Readonly<Record<string, string>> | undefined;
  /** Whether a stale reply says so in `Warning: 299`, which its clients show. Absent: `false`. */
  readonly warnsStale?: boolean | undefined;
  /** Handling of empty and `.` segments of a path. Absent: `refuse`. */
  readonly dotSegments?: DotSegments | undefined;
  /**
   * Whether clients may ask for upstreams themselves, as of an HTTP proxy (RFC 9112 §3.2.2). The path below an upstream is then that
   * below the repository, with the upstream's scope before it. Absent: `false`.
   */
  readonly forwards?: boolean | undefined;
  /** Handling of bytes of a path that are not UTF-8. Absent: `refuse`. */
  readonly otherBytes?: OtherBytes | undefined;
}

/** The names of packages in grants and tokens. */
export interface NameFacts {
  /**
   * The reading of patterns in grants. `paths`: the glob language of core. A function: whether a name fits a pattern,
   * as the ecosystem writes them. Absent: grants are bound to `accessName` alone.
   */
  readonly pattern?: 'paths' | ((pattern: string) => (name: string) => boolean) | undefined;
  /** The `type` of entries in the `access` claim of tokens, besides `repository`, that speak of names of this format. Absent: none. */
  readonly claimTypes?: readonly string[] | undefined;
}

/** The settings of the format's clients: reading them, and pointing them here. */
export interface ClientFacts {
  /**
   * Finds the upstreams that clients on this machine are set up with. Empty: none found.
   * @throws EntrepotError `configuration` when the client's settings cannot be read.
   */
  discoverUpstreams?(context: DiscoveryContext): Promise<readonly DiscoveredUpstream[]>;
  /** Gives the steps that point clients at a repository. */
  setup?(context: ClientSetupContext): readonly ClientSetup[];
}

/** A format, as its package declares it. */
export interface ProtocolDeclaration<
  Options = unknown,
  Deps extends TokenRecord = TokenRecord,
  Proxy extends ProtocolInstance = ProtocolInstance,
  Hosted extends ProtocolInstance = ProtocolInstance,
> {
  /** Lower-case letters, digits and `-`. The `type` in the configuration. */
  readonly id: string;
  /** The schema of the options beside the common keys of a repository (standardschema.dev). Must refuse unknown keys. */
  readonly options: StandardSchema<Options>;
  /** The services that `create` is given, by token: `LOGGER`, `CLOCK`, `TRANSPORT`. */
  readonly inject: Deps;
  readonly names?: NameFacts | undefined;
  readonly http?: HttpFacts | undefined;
  readonly clients?: ClientFacts | undefined;
  /** Absent: the format has no proxies. */
  readonly proxy?: ProxySide<Options, Deps, Proxy> | undefined;
  /** Absent: the format has no hosted repositories. */
  readonly hosted?: HostedSide<Options, Deps, Hosted> | undefined;
}

/**
 * A format as a package publishes it: its default export, or one of several in an array. Stamped with what it is and the API version that
 * it was made for.
 */
export interface ProtocolPlugin<
  Options = never,
  Deps extends TokenRecord = TokenRecord,
  Proxy extends ProtocolInstance = never,
  Hosted extends ProtocolInstance = never,
> extends ProtocolDeclaration<Options, Deps, Proxy, Hosted> {
  readonly kind: 'protocol';
  readonly apiVersion: number;
}

/** A published format, whatever its options and instances are. */
export interface AnyDeclaredPlugin extends Pick<
  ProtocolPlugin,
  'kind' | 'apiVersion' | 'id' | 'names' | 'http' | 'clients'
> {
  readonly options: StandardSchema<unknown>;
  readonly inject: TokenRecord;
  readonly proxy?: object | undefined;
  readonly hosted?: object | undefined;
}

/** Declares a format. */
export function defineProtocolPlugin<
  Options,
  const Deps extends TokenRecord,
  Proxy extends ProtocolInstance = ProtocolInstance,
  Hosted extends ProtocolInstance = ProtocolInstance,
>(declared: ProtocolDeclaration<Options, Deps, Proxy, Hosted>): ProtocolPlugin<Options, Deps, Proxy, Hosted> {
  return Object.freeze({ kind: 'protocol', apiVersion: API_VERSION, ...declared });
}
