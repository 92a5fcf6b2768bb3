export { default } from './deb/index.js';
export type { RepositoryOptions } from './shared/options.js';
