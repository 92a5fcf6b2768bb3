import { createRequire } from 'node:module';
import type { AnyDeclaredPlugin, BlobStorePlugin, ScannerPlugin } from '@entrepot/core';
import type { Distribution } from '../config/distribution.js';
import { checkExport, checkPeer, DECLARED, pluginsOf } from './check.js';
import { oneLine, PluginFault, pluginProblem, within, type PluginProblem } from './problem.js';
import { resolvePlugin, type PluginLocation } from './resolve.js';

/** A plugin that passed the handshake. Several may be of one package. */
export interface LoadedPlugin<Plugin = AnyDeclaredPlugin> {
  /** As the configuration or the distribution names it. */
  readonly package: string;
  /** The package's version. Absent for a file that belongs to no package. */
  readonly version?: string | undefined;
  /** The folder or file it comes from. */
  readonly location: string;
  readonly bundled: boolean;
  readonly plugin: Plugin;
}

/** A scanner plugin that passed the handshake. */
export type LoadedScanner = LoadedPlugin<ScannerPlugin>;

/** The plugin of a store that passed the handshake. */
export type LoadedStore = LoadedPlugin<BlobStorePlugin>;

type AnyPlugin = AnyDeclaredPlugin | ScannerPlugin | BlobStorePlugin;

/** Which plugins to load. */
export interface LoadPluginsOptions {
  /** The configuration's `plugins`: full package names, paths or file URLs. */
  readonly plugins: readonly string[];
  /** Packages of formats that repositories name by their types, besides those among `plugins`. */
  readonly formats?: readonly string[] | undefined;
  /** Packages of scanners, besides those among `plugins`. */
  readonly scanners?: readonly string[] | undefined;
  /** The package of the store, besides those among `plugins`. */
  readonly store?: string | undefined;
  /** The folder from which names and paths are resolved first: that of the configuration file. */
  readonly folder: string;
  /** The longest time of one plugin's import, in milliseconds. */
  readonly importTimeout?: number | undefined;
  /** Packages of formats that need not be configured. */
  readonly bundled?: readonly string[] | undefined;
  /** Where packages are found that are not in `folder`. */
  readonly distribution?: Distribution | undefined;
  /** Instead of the version of the core that runs. */
  readonly coreVersion?: string | undefined;
}

/** Plugins in the order of the configuration, the bundled ones last, and everything that is wrong with the others. */
export interface LoadPluginsResult {
  readonly plugins: readonly LoadedPlugin[];
  readonly scanners: readonly LoadedScanner[];
  readonly stores: readonly LoadedStore[];
  readonly problems: readonly PluginProblem[];
}

const IMPORT_TIMEOUT = 15_000;

interface Candidate {
  readonly name: string;
  readonly path: string;
  readonly bundled: boolean;
}

/**
 * Finds, imports and checks all plugins. Never throws for a plugin: each fault is a problem, and no plugin is skipped
 * without one, for a missing filter is a hole.
 */
export async function loadPlugins(options: LoadPluginsOptions): Promise<LoadPluginsResult> {
  const results = await Promise.all(candidates(options).map((candidate) => loadPackage(candidate, options)));
  const plugins: LoadedPlugin<AnyPlugin>[] = [];
  const problems: PluginProblem[] = [];
  for (const { problems: found } of results) problems.push(...found);
  const all = results.flatMap(({ candidate, loaded }) => loaded.map((one) => ({ candidate, loaded: one })));
  for (const { candidate, loaded } of all) {
    const { id, kind } = loaded.plugin;
    const rival = plugins.find(({ plugin }) => plugin.id === id && plugin.kind === kind);
    if (rival === undefined) {
      plugins.push(loaded);
    } else if (rival.location !== loaded.location) {
      const found = `id ${JSON.stringify(loaded.plugin.id)}, which ${rival.package} (${rival.location}) has too`;
      problems.push(
        pluginProblem(candidate.path, candidate.name, loaded.location, { found, wanted: 'an id of its own' }),
      );
    }
  }
  return {
    plugins: plugins.filter(isProtocol),
    scanners: plugins.filter(isScanner),
    stores: plugins.filter(isStore),
    problems,
  };
}

function isProtocol(loaded: LoadedPlugin<AnyPlugin>): loaded is LoadedPlugin {
  return loaded.plugin.kind === 'protocol';
}

function isScanner(loaded: LoadedPlugin<AnyPlugin>): loaded is LoadedScanner {
  return loaded.plugin.kind === 'scanner';
}

function isStore(loaded: LoadedPlugin<AnyPlugin>): loaded is LoadedStore {
  return loaded.plugin.kind === 'blob-store';
}

/** The version of `@entrepot/core` that this host runs on. */
export function runningCoreVersion(): string {
  return (createRequire(import.meta.url)('@entrepot/core/package.json') as { version: string }).version;
}

function candidates({ plugins, formats = [], scanners = [], store, bundled = [] }: LoadPluginsOptions): Candidate[] {
  const found = new Map<string, Candidate>();
  const add = (name: string, path: string): void => {
    if (!found.has(name)) found.set(name, { name, path, bundled: bundled.includes(name) });
  };
  // A plugin is blamed on its own entry, where it has one.
  for (const [index, name] of plugins.entries()) add(name, `plugins.${index}`);
  if (store !== undefined) add(store, 'storage.backend');
  for (const name of scanners) add(name, 'scanners');
  for (const name of formats) add(name, 'repositories');
  for (const name of bundled) add(name, 'plugins');
  return [...found.values()];
}

/** A package as it was found: its plugins, all of them or none, and what is wrong. */
interface LoadedPackage {
  readonly candidate: Candidate;
  readonly loaded: readonly LoadedPlugin<AnyPlugin>[];
  readonly problems: readonly PluginProblem[];
}

async function loadPackage(candidate: Candidate, options: LoadPluginsOptions): Promise<LoadedPackage> {
  const { name, path, bundled } = candidate;
  let found: PluginLocation | undefined;
  try {
    found = resolvePlugin(name, options.folder, options.distribution?.folder);
    const { location, manifest } = found;
    const peer = checkPeer(found, options.coreVersion ?? runningCoreVersion());
    // Code that was made for another core is not run.
    const exported = peer.length > 0 ? undefined : await importDefault(found, options.importTimeout ?? IMPORT_TIMEOUT);
    const mismatches = peer.length > 0 ? peer : checkExport(exported);
    const problems = mismatches.map((mismatch) => pluginProblem(path, name, location, mismatch));
    if (problems.length > 0) return { candidate, loaded: [], problems };
    const common = { package: name, version: manifest?.version, location, bundled };
    const loaded = pluginsOf(exported).map((plugin) => ({ ...common, plugin: plugin as AnyPlugin }));
    return { candidate, loaded, problems };
  } catch (error) {
    if (!(error instanceof PluginFault)) throw error;
    return { candidate, loaded: [], problems: [pluginProblem(path, name, found?.location, error)] };
  }
}

async function importDefault({ importable, location }: PluginLocation, timeout: number): Promise<unknown> {
  let module: { readonly default?: unknown };
  try {
    module = await within(
      timeout,
      import(importable) as Promise<{ readonly default?: unknown }>,
      () =>
        new PluginFault({
          found: `an import that is still running after ${timeout} ms`,
          wanted: 'a module that can be imported',
        }),
    );
  } catch (error) {
    if (error instanceof PluginFault) throw error;
    throw new PluginFault(importMismatch(error, location), error);
  }
  const exported = module.default;
  if (exported === undefined) {
    const names = Object.keys(module).join(', ');
    throw new PluginFault({
      found: names === '' ? 'no exports' : `only the exports ${names}`,
      wanted: DECLARED,
    });
  }
  // What a compiler makes of `export default` for CommonJS.
  return isTranspiledModule(exported) ? exported.default : exported;
}

/** Tells a dependency or a file that the plugin lacks from code that throws. */
function importMismatch(error: unknown, location: string): { found: string; wanted: string } {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') {
    return { found: `an error on import: ${oneLine(error)}`, wanted: 'a module that can be imported' };
  }
  const missing = /Cannot find (?:package|module) '([^']+)'/.exec((error as Error).message)?.[1] ?? oneLine(error);
  if (missing.startsWith(location))
    return { found: `no file ${missing}`, wanted: 'a package that is complete (is it built?)' };
  return {
    found: `that ${missing}, which it imports, is missing`,
    wanted: "the plugin's own dependencies to be installed",
  };
}

function isTranspiledModule(value: unknown): value is { readonly default: unknown } {
  return typeof value === 'object' && value !== null && '__esModule' in value && 'default' in value;
}
