import type { ByteRange } from '../../api/blob-store.js';
import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { ChangeReply, HostedChange, HostedContext, SessionState } from '../../api/hosted.js';
import type { Integrity } from '../../api/integrity.js';
import type { AdaptContext, AdaptedReply, AdaptedRequest, AdaptReplyContext } from '../../api/protocol.js';
import type { ResolveContext } from '../../plugin/alias.js';
import type { PassedReply, SessionStep } from '../../plugin/classes.js';
import type { LocalReply, Resource } from '../../plugin/resource.js';
import type { UpstreamLocation } from './resource-facts.js';
import type { ArtifactResource, DocumentResource, ListingResource } from './stored-resource.js';

export { ArtifactResource, DocumentResource, ListingResource, StoredResource } from './stored-resource.js';
export type { UpstreamLocation } from './resource-facts.js';
export type { PinnedResource } from './stored-resource.js';

/** The resource of a request: what `route` named, with the facts and hooks of its class. */
export type BoundResource =
  | ArtifactResource
  | DocumentResource
  | ListingResource
  | LocalResource
  | AliasResource
  | PassthroughResource
  | UploadResource
  | SessionResource;

/** The parts of a resource for access control. */
export interface GuardedResource {
  readonly named: Resource;
  /** The name within the repository that a grant can be bound to. */
  readonly accessName?: string | undefined;
  /** Whether a grant for any name suffices. */
  readonly forAnyName?: boolean | undefined;
}

/** A reply as a resource. */
export interface LocalResource extends LocalReply {
  readonly kind: 'local';
}

/** A path that stands for another resource. */
export interface AliasResource extends GuardedResource {
  readonly kind: 'alias';
  readonly key: string;
  readonly class: string;
  readonly coordinates?: PackageCoordinates | undefined;
  /** Finds the resource for one request. `undefined`: there is none. */
  resolve(context: ResolveContext): Promise<BoundResource | undefined>;
  /** Finds it where no upstream has what `resolve` found. `undefined`: there is none. */
  resolveMissing(missing: Resource, context: ResolveContext): Promise<BoundResource | undefined>;
  /** Headers for one reply. */
  replyHeaders(context: ResolveContext): Readonly<Record<string, string>> | undefined;
  /** Keys of what is kept for it. `undefined`: those of what it resolves to. */
  storedKeys(context: ResolveContext): Promise<readonly string[] | undefined>;
}

/** A question that is asked of the upstream every time. */
export interface PassthroughResource extends UpstreamLocation, GuardedResource {
  readonly kind: 'passthrough';
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Its name in metrics and logs: `search`. */
  readonly name: string;
  readonly accept?: string | undefined;
  /** Names that the upstream would learn from it. */
  readonly names?: readonly PackageCoordinates[] | undefined;
  /** Absent: request and reply are passed on. */
  readonly adapt?: BoundAdaptation | undefined;
  /** The time for which a reply may be shared, in milliseconds. Absent: not at all. */
  readonly shareFor?: number | undefined;
}

/** The translation of one exchange. */
export interface BoundAdaptation {
  readonly answerPath?: string | undefined;
  request(body: Uint8Array, context: AdaptContext): AdaptedRequest;
  reply(reply: PassedReply, context: AdaptReplyContext): AdaptedReply;
}

/** A change to a hosted repository. */
export interface UploadResource extends GuardedResource {
  readonly kind: 'upload';
  readonly action: 'put' | 'delete' | 'link';
  /** The entry that is made or removed. Where `make` changes several, this one names the change in the log. */
  readonly key: string;
  readonly class: string;
  readonly coordinates?: PackageCoordinates | undefined;
  readonly mediaType?: string | undefined;
  /** Whether an entry that exists is replaced. Only where there is no `make`. */
  readonly overwrite: boolean;
  /** The largest body, in bytes. */
  readonly maxBytes: number;
  readonly integrity?: readonly Integrity[] | undefined;
  /** Changes with the same value are made one after another. */
  readonly exclusive?: string | undefined;
  /** Absent: a put makes one entry of the whole body, a delete removes it. */
  readonly make?: ((content: Content, context: HostedContext) => Promise<HostedChange>) | undefined;
}

/** One step of an upload in several requests. */
export interface SessionResource extends GuardedResource, Omit<SessionStep, 'change'> {
  readonly kind: 'session';
  readonly class: string;
  readonly upload?: UploadResource | undefined;
  /** The most bytes of a whole session. */
  readonly maxBytes: number;
  readonly range?: ByteRange | undefined;
  /** Makes the reply to `action`, which need not be this step's own. */
  reply(action: SessionStep['action'], state: SessionState, context: Pick<HostedContext, 'baseUrl'>): ChangeReply;
}
