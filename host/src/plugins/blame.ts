import type { Logger } from '@entrepot/core';
import { oneLine } from './problem.js';

/** A plugin that code may belong to. */
export interface Suspect {
  readonly package: string;
  /** Its folder, or its file. */
  readonly location: string;
}

/**
 * The plugin that an error comes from: the one whose code is nearest to where it was made.
 * @param suspects the plugins that run
 */
export function blamed(error: unknown, suspects: readonly Suspect[]): Suspect | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const line of stack.split('\n').slice(1)) {
    const found = suspects.find(({ location }) => line.includes(location));
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Names the plugin when an error that nothing handles ends the process. The process still ends: what the error left undone is
 * not known.
 * @returns what ends this
 */
export function blameForEnd(suspects: readonly Suspect[], logger: Logger): () => void {
  const watch = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void => {
    const plugin = blamed(error, suspects);
    const what =
      origin === 'unhandledRejection' ? 'a promise that nobody waits for was rejected' : 'an error was thrown';
    const where = plugin === undefined ? 'outside of every plugin' : `in the plugin ${plugin.package}`;
    logger.error(
      { err: error, plugin: plugin?.package, location: plugin?.location },
      `the process ends: ${what} ${where}: ${oneLine(error)}`,
    );
  };
  process.on('uncaughtExceptionMonitor', watch);
  return () => void process.off('uncaughtExceptionMonitor', watch);
}
