import type { Access } from '../../api/access.js';
import type { BlobStore } from '../../api/blob-store.js';
import type { Clock } from '../../api/clock.js';
import type { Content } from '../../api/content.js';
import type { PackageCoordinates } from '../../api/coordinates.js';
import type { Digest } from '../../api/digest.js';
import type { Entry, EntryIndex } from '../../api/entry-index.js';
import type { ArtifactFacts } from '../../api/facts.js';
import type { FreshnessRule } from '../../api/freshness.js';
import type { HotCache } from '../../api/hot-cache.js';
import type { Integrity } from '../../api/integrity.js';
import type { Logger } from '../../api/logger.js';
import type { PolicyDecision, PolicyEngine, PolicyInput } from '../../api/policy.js';
import type { PartReference, Upstream } from '../../api/protocol.js';
import type { StoredVersion } from '../../plugin/cleanup.js';
import type { AnyDeclaredPlugin } from '../../plugin/protocol.js';
import type { Root } from '../../plugin/roots.js';
import type { Protocol } from '../request/protocol.js';
import type { ScanDesk } from '../../api/scan-desk.js';
import type { ScannerAnswer, ScannerQuestion } from '../../api/scanner.js';
import type { Transport } from '../../api/transport.js';
import type { FlightCoordinator } from './flight-coordinator.js';
import type { RequestPlace } from '../request/plain-get.js';
import type { EngineReply, EngineRequest } from '../request/request.js';
import type { CallerLimits } from '../request/caller-limits.js';
import type { RequestContext } from '../request/request-context.js';
import type { SharedStorage } from './shared-storage.js';

/** An upstream with what the repository sends only to its origin. */
export interface ConfiguredUpstream extends Upstream {
  /** The `Authorization` header for this origin and no other. A secret. */
  readonly authorization?: string | undefined;
}

/** Bounds of one repository. */
export interface RepositoryLimits {
  /** The longest that one fetch may take, from the request to the last byte; milliseconds. */
  readonly totalTimeout: number;
  /** The largest document that is taken from an upstream, in bytes (after any content coding). */
  readonly maxDocumentBytes: number;
  /** The largest artifact that is taken from an upstream, in bytes. `Infinity`: no bound but the disk. */
  readonly maxArtifactBytes: number;
  /** The largest body of a passthrough request, in bytes (after any content coding). */
  readonly maxRequestBytes: number;
  /** The most fetches for requests of clients that run at a time. What a fetch needs itself does not count. */
  readonly fetches: number;
  /** The most of them for one client. */
  readonly fetchesPerClient: number;
  /** The longest that a request waits for its turn to fetch; milliseconds. */
  readonly fetchQueueTimeout: number;
}

/** The bounds where the configuration names none. */
export const DEFAULT_LIMITS: RepositoryLimits = {
  totalTimeout: 1_800_000,
  maxDocumentBytes: 256 * 1024 * 1024,
  maxArtifactBytes: Infinity,
  maxRequestBytes: 4 * 1024 * 1024,
  fetches: 64,
  fetchesPerClient: 48,
  fetchQueueTimeout: 60_000,
};

/** One configured repository: everything that the pipeline has to know of it. */
export interface RepositoryDefinition {
  readonly name: string;
  readonly kind: 'proxy' | 'hosted';
  readonly plugin: AnyDeclaredPlugin;
  readonly protocol: Protocol;
  /** In the order in which they are tried. Empty for a hosted repository. */
  readonly upstreams: readonly ConfiguredUpstream[];
  /** The rule of every class of the plugin, configuration applied. */
  readonly freshness: Readonly<Record<string, FreshnessRule>>;
  /** `auto`: a far range of a large cold artifact goes upstream by itself, unstored; `wait`: never. */
  readonly coldRange: 'auto' | 'wait';
  /** Whether an artifact that nothing promises an integrity for is refused. */
  readonly requireIntegrity: boolean;
  /** Hosts (`name` or `name:port`) that a redirect or a document may lead to although their address is private. */
  readonly allowPrivateHosts: readonly string[];
  readonly userAgent: string;
  readonly limits: RepositoryLimits;
  readonly access: Access;
  /** The share that each caller may ask for. Absent: without limit. */
  readonly callerLimits?: CallerLimits | undefined;
  /** Hosts besides an upstream's own site that its `Bearer` challenges may lead to: `auth.example.com`. */
  readonly trustedRealms: readonly string[];
  /**
   * Names the code and the settings: repositories of the same name that have it in common give the same answers to the same questions.
   * Holds no secret. Absent: all of the same name do.
   */
  readonly sameAs?: string | undefined;
}

/** Dependencies of the pipeline. All repositories share them, except for the transport. */
export interface EngineServices {
  readonly blobs: BlobStore;
  readonly entries: EntryIndex;
  readonly hotCache: HotCache;
  readonly transport: Transport;
  readonly policy: PolicyEngine;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly storage: SharedStorage;
  /** Absent: nothing is scanned, and what waits for reports goes on without them, as its rule says. */
  readonly scanDesk?: ScanDesk | undefined;
  /**
   * Answers from the advisory database of a scanner. `undefined`: no scanner offers that.
   * @throws EntrepotError `scan-unavailable` when there is no database to ask
   */
  readonly answer?:
    ((question: ScannerQuestion) => ScannerAnswer | undefined | Promise<ScannerAnswer | undefined>) | undefined;
  /**
   * When a version was first asked for or listed here, this time at the latest; milliseconds since the epoch. Called where a
   * rule counts an age from it. `undefined`: it is not known. Quick: from memory.
   * @param since it is a part of something that is known since then, and so as old
   */
  readonly firstSeen?:
    ((repository: string, coordinates: PackageCoordinates, since?: number) => number | undefined) | undefined;
  /** Absent: no other process fetches for these stores. */
  readonly cluster?: FlightCoordinator | undefined;
  /** Told of what metrics count and no reply shows. */
  readonly observer?: EngineObserver | undefined;
}

/** A decision of policy on a request for an artifact, or for a part of one. */
export interface DecisionRecord {
  readonly repository: string;
  readonly coordinates: PackageCoordinates;
  readonly stage: PolicyInput['stage'];
  readonly decision: PolicyDecision;
  /** Whether the client was refused: also where a scan is not done in time. */
  readonly refused: boolean;
  /** The revision of policy, with those of the databases that it looks at. */
  readonly revision: string;
  /** Of the bytes, where they are known. */
  readonly digest?: Digest | undefined;
  /** The request that it was decided for. */
  readonly context: RequestContext;
}

/** Hears what the pipeline does behind replies. Must be quick and must not throw. */
export interface EngineObserver {
  /** An upstream answered with `status`, or `failed`; `duration` in milliseconds until the head of its reply. */
  upstreamAnswered(repository: string, status: string, duration: number): void;
  /** A body of `bytes` came from an upstream as a whole, in `duration` milliseconds after the head of the reply. */
  received?(repository: string, bytes: number, duration: number): void;
  /** An upstream said how many requests it still takes (`ratelimit-remaining`). */
  upstreamRemaining?(repository: string, upstream: string, remaining: number): void;
  /** An artifact was fetched, and is kept from now on. */
  kept?(entry: Entry): void;
  /** An upstream is left alone since it has failed several times in a row (`isDown`), or has answered again. */
  upstreamHealth?(repository: string, upstream: string, isDown: boolean): void;
  /** Bytes were not what the ecosystem promised. */
  integrityFailed(repository: string): void;
  /** Policy decided on a request for an artifact. Called for each of them, before the reply. */
  decided?(record: DecisionRecord): void;
  /** A client has changed a hosted repository. Called after each change, before the reply. */
  changed?(record: ChangeRecord): void;
}

/** A change of a hosted repository that was carried out. */
export interface ChangeRecord {
  readonly repository: string;
  /** The class of the change. */
  readonly class: string;
  /** Keys of entries. */
  readonly created: readonly string[];
  readonly replaced: readonly string[];
  readonly removed: readonly string[];
  readonly context: RequestContext;
}

/** A document's description of one version. */
export interface DescribedVersion {
  readonly coordinates: PackageCoordinates;
  readonly facts: ArtifactFacts;
  readonly integrity: readonly Integrity[];
}

/** A version that is to go. */
export interface DueVersion {
  readonly version: StoredVersion;
  /** It stays where it was stored or served after this; milliseconds since the epoch. Absent: that does not matter. */
  readonly unusedSince?: number | undefined;
}

/**
 * The reason for which a version stays that was to go: it was used, or it changed or went meanwhile, something else needs it, or
 * something is pinned that would go with it.
 */
export type Spared = 'used' | 'changed' | 'needed' | 'pinned';

/** The result of a removal. */
export interface Retired {
  readonly retired: readonly StoredVersion[];
  /** All entries that were removed. */
  readonly removed: readonly Entry[];
  /** Entries of documents that were replaced, as they were. */
  readonly replaced: readonly Entry[];
  /** The contents that were put in their place. */
  readonly added: readonly Pick<Entry, 'digest' | 'size'>[];
  readonly spared: readonly { readonly version: StoredVersion; readonly reason: Spared }[];
}

/** Options of a removal. */
export interface RetireOptions {
  /** Entries of versions in whose place others go: when one of them is gone, all stay. */
  readonly standing?: readonly Entry[] | undefined;
  /** Whether nothing is to be removed. */
  readonly dryRun?: boolean | undefined;
  /** Whether an entry must stay. Absent: none must. */
  readonly isPinned?: ((entry: Entry) => boolean) | undefined;
}

/** Removal of what a hosted repository stores. */
export interface HostedCleanup {
  /** Yields what may be removed, all versions of one name together, while the repository may change. */
  stored(): AsyncIterable<readonly StoredVersion[]>;
  /** Reads until when versions were stored or served at the latest, in their order, to the hour; milliseconds since the epoch. */
  lastUses(versions: readonly StoredVersion[]): Promise<readonly number[]>;
  /**
   * Removes versions in one change of the repository, if nothing else changes meanwhile; otherwise looks again. One that was replaced,
   * or used since then, stays.
   * @param due some of those that `stored` gave together
   * @throws EntrepotError `storage`, or `plugin` for a hook that failed: nothing was removed
   */
  retire(due: readonly DueVersion[], options?: RetireOptions): Promise<Retired>;
}

/** The roots of a proxy, as they are now: also by what other processes have done. */
export interface RepositoryRoots {
  /** Lists them. No upstream is asked. @throws EntrepotError `storage`, `plugin` */
  list(): Promise<readonly Root[]>;
  /**
   * Asks the upstream for what it has of a root now, and publishes it.
   * @throws EntrepotError `not-found` for one that is not known, `conflict` for a frozen one; as the upstream answers
   */
  refresh(name: string): Promise<Root>;
  /** Lists the keys of entries that must not be evicted. @throws EntrepotError `storage`, `plugin` */
  heldKeys(): Promise<ReadonlySet<string>>;
}

/** Result of fetching the bytes of an entry again. */
export type Healing =
  | { readonly outcome: 'healed' }
  | {
      /**
       * `changed`: the upstream has other bytes now, or none. The entry of a document is gone then, and the next request fetches it anew.
       * `unreachable`: they could not be fetched.
       */
      readonly outcome: 'changed' | 'unreachable';
      readonly reason: string;
    };

/** Things of a repository that are to be forgotten. */
export interface Forgotten {
  /** Their keys. Absent: those are not known one by one. */
  readonly keys?: readonly string[] | undefined;
  /** Whether something is one of them. */
  takes(resource: { readonly key: string; readonly coordinates?: PackageCoordinates | undefined }): boolean;
}

/** Bytes that are stored for a request. */
export interface StoredKeys {
  readonly repository: string;
  /** Empty: nothing is stored for it by itself. */
  readonly keys: readonly string[];
}

/** A repository that answers requests. */
export interface RepositoryEngine {
  readonly definition: RepositoryDefinition;
  /**
   * Returns the reply to an earlier request at once, where it is ready and public: what `handle` would answer.
   * `undefined` tells nothing. Absent: `handle` alone answers.
   */
  ready?(request: EngineRequest): EngineReply | undefined;
  /** Never rejects: a failure is a reply with an error status and the outcome `failed` or `denied`. */
  handle(request: EngineRequest): Promise<EngineReply>;
  /**
   * Reads the descriptions of a name's versions, or of one version, from its document: the cached one, else it is
   * fetched. Only facts that policy reads. Empty where there is no such document; a hosted repository stores the facts
   * with its entries.
   * @param keptOnly whether only stored documents are read, without asking an upstream
   * @throws EntrepotError as a request for it would be answered
   */
  describe(
    subject: PackageCoordinates,
    options?: { readonly keptOnly?: boolean | undefined },
  ): Promise<readonly DescribedVersion[]>;
  /**
   * Other bytes that something of the name `whole` is made of: kept, else fetched and kept as for a client. No policy is asked: it
   * is for those who judge the whole. `undefined`: the protocol knows no such part, or its upstream has none.
   * @throws EntrepotError as a request for it would be answered
   */
  part(whole: PackageCoordinates, part: PartReference): Promise<Content | undefined>;
  /** The parts of a proxy that are published as a whole. Absent: its format has none. */
  readonly roots?: RepositoryRoots | undefined;
  /** Removal of what a hosted repository stores, by rules. Absent: only clients remove anything. */
  readonly cleanup?: HostedCleanup | undefined;
  /**
   * Fetches the bytes of an entry again that are damaged or missing, and keeps them if they are the very same ones.
   * @throws the reason of `signal` when it is aborted
   */
  heal(entry: Entry, signal: AbortSignal): Promise<Healing>;
  /**
   * Finds the keys of what a GET of a path is for. `undefined`: it is for no single repository.
   * @throws EntrepotError as such a request would be refused
   */
  keysAt(place: RequestPlace): Promise<StoredKeys | undefined>;
  /**
   * Forgets what is not tied to entries: what upstreams lack, what brief documents said, replies that are shared for a while. What
   * running fetches of it bring is not kept any more. Other things in memory are named by entries and their digests.
   * @param what absent: all of the repository, but for fetches of artifacts, which are the same whenever they come
   */
  forget(what?: Forgotten): Promise<void>;
  /** The number of running fetches. */
  flights(): number;
  /** Ends background work, waits for running flights up to `grace` milliseconds, then aborts them. */
  dispose(grace: number): Promise<void>;
}
