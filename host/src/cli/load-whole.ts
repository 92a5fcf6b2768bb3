import { silentLogger } from '@entrepot/core';
import { withoutEchoes } from '../config/faults.js';
import { ConfigurationError, readConfig, type ConfigurationProblem, type LoadedConfig } from '../config/index.js';
import type { CommandContext } from './context.js';

/**
 * Loads the configuration. Where something is wrong with it, what is right is still held against plugins, policy and
 * certificates, so that everything is said at once.
 * @throws ConfigurationError with everything that is wrong
 */
export async function loadWhole(file: string | undefined, context: CommandContext): Promise<LoadedConfig> {
  const { loaded, problems } = readConfig({ file, env: context.env, cwd: context.cwd });
  if (loaded !== undefined && problems.length === 0) return loaded;
  throw new ConfigurationError([...problems, ...withoutEchoes(await furtherProblems(loaded, context), problems)]);
}

async function furtherProblems(
  loaded: LoadedConfig | undefined,
  context: CommandContext,
): Promise<readonly ConfigurationProblem[]> {
  if (loaded === undefined) return [];
  try {
    return (await context.checkConfiguration(loaded, { logger: silentLogger })).problems;
  } catch {
    // Nobody wrote what is left of the configuration; what it leads to is no news.
    return [];
  }
}
