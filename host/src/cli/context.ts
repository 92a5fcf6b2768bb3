import type { Distribution } from '../config/distribution.js';
import type { LoadConfigOptions } from '../config/load.js';
import type { checkConfiguration, createHost, startScanWorker } from '../create-host.js';

/** The process that a command runs in. Tests replace it. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The plugins that come with the program. Absent: none. */
  readonly distribution?: Distribution | undefined;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
  /** Writes one line, or several, to standard output. */
  write(text: string): void;
  /** Whether a person reads standard output. */
  readonly isTerminal: boolean;
  /** Writes one line, or several, to standard error. */
  writeError(text: string): void;
  /** Writes a line of progress in place of the one before; an empty one ends that. */
  writeProgress(text: string): void;
  readonly createHost: typeof createHost;
  readonly checkConfiguration: typeof checkConfiguration;
  readonly startScanWorker: typeof startScanWorker;
  /**
   * Calls `listener` for every SIGTERM and SIGINT, instead of what they usually do.
   * @returns a function that ends this
   */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /**
   * Calls `listener` for every SIGHUP of a server, also for one that came before.
   * @returns a function that ends this
   */
  onHangup(listener: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** Options for loading the configuration that a command line names, or the usual one. */
export function configOptions(file: string | undefined, context: ConfigPlace): LoadConfigOptions {
  const { env, cwd, distribution } = context;
  return { file, env, cwd, distribution };
}

/** The part of the process that the configuration comes from. */
export type ConfigPlace = Pick<CommandContext, 'env' | 'cwd' | 'distribution'>;

/** Exit codes. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** Policy refuses at least one of the versions in question. */
  refused: 3,
  /** The command line is wrong (EX_USAGE of sysexits.h). */
  usage: 64,
  /** The configuration is wrong (EX_CONFIG of sysexits.h). */
  configuration: 78,
} as const;
