import type { OptionProblem } from '@entrepot/core';

/** Why a plugin cannot be used: a configuration problem with the parts it is made of. */
export interface PluginProblem extends OptionProblem {
  /** The plugin as the configuration or the distribution names it. */
  readonly package: string;
  /** The folder or file it was found in. Absent: it was not found. */
  readonly location?: string | undefined;
  readonly found: string;
  readonly wanted: string;
}

/** A mismatch with the plugin API, before the plugin and its place in the configuration are known. */
export interface Mismatch {
  readonly found: string;
  readonly wanted: string;
}

/** Ends a step of loading with a mismatch. Never leaves `host/src/plugins`. */
export class PluginFault extends Error implements Mismatch {
  readonly found: string;
  readonly wanted: string;

  constructor({ found, wanted }: Mismatch, cause?: unknown) {
    super(`expected ${wanted}, found ${found}`, cause === undefined ? undefined : { cause });
    this.name = 'PluginFault';
    this.found = found;
    this.wanted = wanted;
  }
}

/** The problem that `mismatch` is for the plugin named `name` at `path` of the configuration. */
export function pluginProblem(
  path: string,
  name: string,
  location: string | undefined,
  { found, wanted }: Mismatch,
): PluginProblem {
  const where = location === undefined || location === name ? name : `${name} (${location})`;
  return {
    path,
    package: name,
    location,
    found,
    wanted,
    message: `plugin ${where}: expected ${wanted}, found ${found}`,
  };
}

/** `error` in one line, for a message. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const line = text.split('\n', 1)[0] ?? '';
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

/** `work`, or a rejection with what `expired` makes after `timeout` milliseconds. The work itself cannot be stopped. */
export async function within<T>(timeout: number, work: Promise<T>, expired: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(expired()), timeout);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}
