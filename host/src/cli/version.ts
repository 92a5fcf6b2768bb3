import { API_VERSION } from '@entrepot/core';
import { ConfigurationError } from '../config/configuration-error.js';
import { loadConfig } from '../config/load.js';
import { loadPlugins, runningCoreVersion, type LoadPluginsOptions } from '../plugins/load.js';
import { namedPlugins } from '../container/named-plugins.js';
import { configOptions, EXIT, type CommandContext } from './context.js';
import { hostVersion } from '../host-version.js';

/** Prints the versions of the server, its core and its plugins. */
export async function version(
  { config: file, json = false }: { readonly config?: string; readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const found = await versions(file, context);
  if (json) {
    context.write(JSON.stringify(found, undefined, 2));
    return EXIT.ok;
  }
  context.write(`entrepot ${found.entrepot}`);
  context.write(`core ${found.core} (plugin API ${found.api})`);
  context.write(`node ${found.node}`);
  for (const { id, package: name, version: own = '(no version)', api } of found.plugins) {
    context.write(`plugin ${id}: ${name} ${own} (plugin API ${api})`);
  }
  return EXIT.ok;
}

async function versions(file: string | undefined, context: CommandContext) {
  const { plugins } = await loadPlugins(await pluginSources(file, context));
  return {
    entrepot: hostVersion(),
    core: runningCoreVersion(),
    api: API_VERSION,
    node: process.versions.node,
    plugins: plugins.map(({ plugin, package: name, version: found }) => ({
      id: plugin.id,
      package: name,
      version: found,
      api: plugin.apiVersion,
    })),
  };
}

/** The plugins of the configuration and of the distribution; the latter alone where the configuration is broken: versions are asked for to find out why. */
async function pluginSources(file: string | undefined, context: CommandContext): Promise<LoadPluginsOptions> {
  const { cwd, distribution } = context;
  const bundled = Object.values(distribution?.formats ?? {});
  try {
    return { ...namedPlugins(await loadConfig(configOptions(file, context))), bundled };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return { plugins: [], bundled, folder: cwd, distribution };
  }
}
