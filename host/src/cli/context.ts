import type { checkConfiguration, createHost, startScanWorker } from '../create-host.js';

/** What a command stands on: the process, or what a test puts in its place. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
  /** Writes one line, or several, to standard output. */
  write(text: string): void;
  /** Whether a person reads standard output. */
  readonly isTerminal: boolean;
  /** Writes one line, or several, to standard error. */
  writeError(text: string): void;
  readonly createHost: typeof createHost;
  readonly checkConfiguration: typeof checkConfiguration;
  readonly startScanWorker: typeof startScanWorker;
  /**
   * Calls `listener` for every SIGTERM and SIGINT, instead of what they usually do.
   * @returns a function that ends this
   */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** What a command ends with. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** Policy would not let something in that was asked about. */
  refused: 3,
  /** A command line that nobody understands (EX_USAGE of sysexits.h). */
  usage: 64,
  /** The configuration is wrong (EX_CONFIG of sysexits.h). */
  configuration: 78,
} as const;
