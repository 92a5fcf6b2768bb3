export * from './fake-upstream.js';
export { FixedPolicy, type FixedRule } from './fixed-policy.js';
export * from './gate.js';
export * from './manual-clock.js';
export * from './memory-blob-store.js';
export * from './memory-entry-index.js';
export * from './memory-hot-cache.js';
export * from './node-transport.js';
export * from './pseudo-random.js';
export * from './sample-bytes.js';
export {
  createProtocol,
  openTestRepository,
  type TestReply,
  type TestRepository,
  type TestRepositoryOptions,
  type TestRequest,
} from './test-repository.js';

export * from './blob-store-suite.js';
export * from './entry-index-suite.js';
export * from './hot-cache-suite.js';
export * from './policy-suite.js';
export type { ProtocolCase, ProtocolSubject } from './protocol-subject.js';
export { hostedProtocolSuite, type HostedProtocolCapabilities } from './hosted-protocol-suite.js';
export type { HostedProtocolSubject, HostedUpload } from './hosted-uploads.js';
export { protocolSuite, type ProtocolCapabilities } from './protocol-suite.js';
export { routeRequest, routeTable, type Routed } from './route-table.js';
export * from './scanner-suite.js';
export {
  printReport,
  runSuite,
  type Suite,
  type SuiteReport,
  type SuiteRunner,
  type SuiteRunOptions,
} from './suite.js';
export * from './tar-archive.js';
export * from './transport-suite.js';
