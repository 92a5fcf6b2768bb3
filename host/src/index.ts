export { ConfigurationError } from './config/configuration-error.js';
export type { Distribution } from './config/distribution.js';
export { KNOWN_FORMATS } from './config/known-packages.js';
export { loadConfig, type LoadedConfig } from './config/load.js';
export {
  checkConfiguration,
  createHost,
  type CreateHostOptions,
  type Host,
  type HostRepository,
} from './create-host.js';
