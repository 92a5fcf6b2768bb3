import { silentLogger } from '@entrepot/core';
import { ConfigurationError } from '../config/configuration-error.js';
import { EXIT, type CommandContext } from './context.js';
import { loadWhole } from './load-whole.js';

/** Checks the configuration as far as that goes without listening: plugins, their options and upstreams included. */
export async function validate(
  { config: file }: { readonly config?: string },
  context: CommandContext,
): Promise<number> {
  const loaded = await loadWhole(file, context);
  const { problems } = await context.checkConfiguration(loaded, { logger: silentLogger });
  if (problems.length > 0) throw new ConfigurationError(problems);
  context.write('configuration is valid');
  return EXIT.ok;
}
