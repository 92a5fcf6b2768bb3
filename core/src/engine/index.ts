export { createRepository } from './handle-request.js';
export { inTime } from './store/in-time.js';
export { SMALL_BLOB } from './store/blob-cache.js';
export { createSharedStorage, type SharedStorage, type SharedStorageOptions } from './store/shared-storage.js';
export { inspectBlob, takeOut, type BlobCondition } from './store/blob-verification.js';
export { countRequest, type CallerLimits, type Excess } from './request/caller-limits.js';
export { headerText } from './request/header-text.js';
export { type RequestContext } from './request/request-context.js';
export { type RequestPlace } from './request/plain-get.js';
export { type EngineReply, type EngineRequest, type Sender } from './request/request.js';
export {
  DEFAULT_LIMITS,
  type ChangeRecord,
  type ConfiguredUpstream,
  type DecisionRecord,
  type DescribedVersion,
  type DueVersion,
  type EngineObserver,
  type EngineServices,
  type Forgotten,
  type HostedCleanup,
  type Healing,
  type RepositoryDefinition,
  type RepositoryEngine,
  type RepositoryLimits,
  type RepositoryRoots,
  type Retired,
  type RetireOptions,
  type Spared,
  type StoredKeys,
} from './store/repository.js';
export type * from './store/flight-coordinator.js';
export type { SessionName, SessionPart, SessionPeers, SessionUse } from './store/upload-session.js';
export { LEASE_LOST } from './fetch/cluster-part.js';
export {
  createSharedMount,
  type SharedMount,
  type SharedMountMember,
  type SharedMountOptions,
} from './shared-mount.js';
export * from '../policy/index.js';
export { nearest } from '../api/nearest.js';
export { unknownMembers } from '../plugin/members.js';
export { cacheClassesOf, kindsOf, Protocol, sideOf, type AnySide, type CacheClass } from './request/protocol.js';
export type * from './request/resource.js';
