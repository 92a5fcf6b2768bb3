import { API_VERSION } from '@entrepot/core';
import { ConfigurationError } from '../config/configuration-error.js';
import { loadConfig } from '../config/load.js';
import { loadPlugins, runningCoreVersion } from '../plugins/load.js';
import { EXIT, type CommandContext } from './context.js';
import { hostVersion } from './host-version.js';

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

async function versions(file: string | undefined, { env, cwd }: CommandContext) {
  const { plugins } = await loadPlugins(await pluginSources({ file, env, cwd }));
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

/** The plugins of the configuration; of a broken one only the bundled plugins, for versions are asked for to find out why. */
async function pluginSources(options: Parameters<typeof loadConfig>[0]) {
  try {
    const { config, directory } = await loadConfig(options);
    return { plugins: config.plugins, folder: directory };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return { plugins: [], folder: options.cwd };
  }
}
