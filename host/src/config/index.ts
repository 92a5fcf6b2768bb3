export { ConfigurationError, printProblem, type ConfigurationProblem } from './configuration-error.js';
export { resolveFreshness } from './freshness.js';
export { parseListenAddress, printListenAddress, type ListenAddress } from './listen-address.js';
export {
  BUILT_IN,
  loadConfig,
  readConfig,
  type LoadConfigOptions,
  type LoadedConfig,
  type ReadConfig,
} from './load.js';
export { parseRepositoryOptions } from './plugin-options.js';
export {
  authorizationHeader,
  repositoryConfig,
  type AccessConfig,
  type AdminConfig,
  type Config,
  type FreshnessConfig,
  type IssuerConfig,
  type JwtConfig,
  type RepositoryConfig,
  type TlsConfig,
  type TransportConfig,
  type UpstreamAuth,
  type UpstreamConfig,
} from './schema.js';
