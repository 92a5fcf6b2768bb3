export { loadConfig, ConfigurationError, type LoadedConfig } from './config/index.js';
export {
  checkConfiguration,
  createHost,
  type CreateHostOptions,
  type Host,
  type HostRepository,
} from './create-host.js';
