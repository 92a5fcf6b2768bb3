import type { ConfigurationProblem } from '../config/configuration-error.js';
import { KNOWN_FORMATS } from '../config/known-packages.js';
import type { LoadedConfig } from '../config/load.js';
import { storePackage } from './open-plugin-store.js';
import { scannerPackages } from '../scanning/plan-scanners.js';
import type { LoadPluginsOptions } from '../plugins/load.js';

/** The plugins that a configuration names, by themselves or by what it configures. Others are not loaded: each format takes megabytes. */
export function namedPlugins({
  config,
  directory,
  addBundledRepositories,
  distribution,
}: LoadedConfig): LoadPluginsOptions {
  const known = { ...KNOWN_FORMATS, ...distribution?.formats };
  const types = new Set(Object.values(config.repositories ?? {}).map(({ type }) => type));
  return {
    plugins: config.plugins,
    formats: Object.keys(known).flatMap((type) => (types.has(type) ? (known[type] as string) : [])),
    scanners: scannerPackages(config.scanners, config.plugins),
    store: storePackage(config.storage),
    bundled: addBundledRepositories ? Object.values(distribution?.formats ?? {}) : [],
    folder: directory,
    distribution,
  };
}

/** A configuration without repositories, where no distribution has any of its own. */
export function nothingToServe({ config, file, addBundledRepositories, distribution }: LoadedConfig) {
  if (!addBundledRepositories || distribution !== undefined || config.repositories !== undefined) return [];
  const found = file === undefined ? 'no configuration' : 'none';
  const problem: ConfigurationProblem = {
    path: 'repositories',
    message: `expected the repositories to serve, found ${found}; install the plugin of each format (npm install @entrepot/plugin-npm) and write entrepot.yaml (repositories: { npm: { type: npm } }), or install the package entrepot, which has the plugins and serves without a configuration`,
  };
  return [problem];
}
