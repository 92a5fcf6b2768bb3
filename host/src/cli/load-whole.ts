import { silentLogger } from '@entrepot/core';
import { withoutEchoes } from '../config/faults.js';
import { ConfigurationError } from '../config/configuration-error.js';
import { readConfig, type LoadedConfig } from '../config/load.js';
import { configOptions, type CommandContext } from './context.js';

/**
 * Loads the configuration. Where something is wrong with it, what is right is still held against plugins, policy and
 * certificates, so that everything is said at once.
 * @throws ConfigurationError with everything that is wrong
 */
export async function loadWhole(file: string | undefined, context: CommandContext): Promise<LoadedConfig> {
  const { loaded, problems } = readConfig(configOptions(file, context));
  if (loaded !== undefined && problems.length === 0) return loaded;
  // Nobody wrote what is left of the configuration; that it cannot be checked is no news.
  const checked = loaded && (await context.checkConfiguration(loaded, { logger: silentLogger }).catch(() => undefined));
  throw new ConfigurationError([...problems, ...withoutEchoes(checked?.problems ?? [], problems)]);
}
