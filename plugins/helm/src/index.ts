export * from './chart-archive.js';
export * from './chart-error.js';
export type { ChartMetadata, Dependency, Maintainer } from './chart-metadata.js';
export * from './chart-url.js';
export * from './index-fragment.js';
export type { IndexSummary, UpstreamChart, UpstreamVersion } from './index-parser.js';
export * from './index-reader.js';
export * from './provenance.js';
export * from './version-order.js';
