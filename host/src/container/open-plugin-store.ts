import { type BlobStore, CLOCK, EntrepotError, type Logger, LOGGER, systemClock, type Token } from '@entrepot/core';
import { KNOWN_STORES } from '../config/known-packages.js';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import { didYouMean } from '../config/faults.js';
import { parsePluginOptions } from '../config/plugin-options.js';
import { COMMON_STORAGE_KEYS, type Config } from '../config/schema.js';
import { createStore } from '../plugins/create.js';
import { loadPlugins, type LoadedStore, type LoadPluginsResult } from '../plugins/load.js';
import { pluginProblem } from '../plugins/problem.js';

/** The section `storage` where a plugin has the store. */
type PluginStorage = Extract<Config['storage'], { backend: 'plugin' }>;

/** A store as it will be opened: the configuration, checked by its plugin. */
export interface StorePlan {
  readonly loaded: LoadedStore;
  /** As the plugin's schema returned them. */
  readonly options: unknown;
}

/** The package of the store that a configuration names; `undefined` where it names none, or a plugin by its id. */
export function storePackage(storage: Config['storage']): string | undefined {
  if (storage.backend !== 'plugin') return undefined;
  const { plugin } = storage;
  return Object.hasOwn(KNOWN_STORES, plugin) ? KNOWN_STORES[plugin] : /[/@.]/.test(plugin) ? plugin : undefined;
}

/** Finds the plugin of a store among those that were loaded, and checks the options of the store. */
export async function planStore(
  storage: Config['storage'],
  { stores, problems }: Pick<LoadPluginsResult, 'stores' | 'problems'>,
): Promise<{ readonly plan?: StorePlan | undefined; readonly problems: readonly ConfigurationProblem[] }> {
  if (storage.backend !== 'plugin') return { problems: [] };
  const { plugin } = storage;
  const name = storePackage(storage);
  const loaded = stores.find((one) => (name === undefined ? one.plugin.id === plugin : one.package === name));
  if (loaded === undefined) {
    // A plugin that could not be loaded has been reported.
    if (problems.some((problem) => problem.package === name)) return { problems: [] };
    return { problems: [{ path: 'storage.backend', message: unknownStore(storage, stores) }] };
  }
  const { options, problems: wrong } = await parsePluginOptions(
    ['storage'],
    loaded.plugin.options,
    storage.options,
    COMMON_STORAGE_KEYS,
  );
  return wrong === undefined ? { plan: { loaded, options }, problems: [] } : { problems: wrong };
}

function unknownStore(storage: PluginStorage, stores: readonly LoadedStore[]): string {
  const { plugin } = storage;
  if (storePackage(storage) !== undefined) return `the plugin ${plugin} is no store of blobs`;
  const ids = stores.map((one) => one.plugin.id);
  const known = [...new Set(['filesystem', 's3', ...Object.keys(KNOWN_STORES), ...ids])];
  return `unknown backend ${JSON.stringify(plugin)}; ${didYouMean(plugin, known)}, or the package of a store`;
}

/**
 * Loads the plugin of a store, and opens the store.
 * @throws ConfigurationError for a plugin or options that are wrong; EntrepotError `configuration` where the store refuses them
 */
export async function openPluginStore(storage: PluginStorage, logger: Logger): Promise<BlobStore> {
  const { plugins, ...places } = storage.pluginsFrom;
  const store = storePackage(storage);
  // Those of the configuration only where one of them must be it.
  const found = await loadPlugins({ ...places, plugins: store === undefined ? plugins : [], store });
  const { plan, problems } = await planStore(storage, found);
  if (plan === undefined) throw new ConfigurationError([...found.problems, ...problems]);
  const { loaded, options } = plan;
  const services = new Map<symbol, unknown>([
    [LOGGER.symbol, logger],
    [CLOCK.symbol, systemClock],
  ]);
  const scope = { get: <T>({ symbol }: Token<T>) => services.get(symbol) as T };
  const result = await createStore(loaded.plugin, scope, options, { logger });
  if (result.made !== undefined) return result.made;
  if (result.refusal !== undefined) throw new EntrepotError('configuration', result.refusal);
  const wrong = result.mismatches.map((mismatch) =>
    pluginProblem('storage.backend', loaded.package, loaded.location, mismatch),
  );
  throw new ConfigurationError(wrong);
}
