import type { LoadedConfig } from '../config/load.js';
import type { CommandContext } from './context.js';

/** Whether a person reads what is printed. */
export function showsGuide({ config }: LoadedConfig, { isTerminal }: CommandContext): boolean {
  return isTerminal && config.log.format !== 'json';
}
