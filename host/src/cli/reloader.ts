import type { Logger } from '@entrepot/core';
import { configurationChanges } from '../config/changes.js';
import { ConfigurationError, printProblem } from '../config/configuration-error.js';
import type { LoadedConfig } from '../config/load.js';
import type { ReloadOutcome } from '../config/reload-outcome.js';
import type { CommandContext } from './context.js';
import { failureProblems } from './failure-text.js';
import { loadWhole } from './load-whole.js';

export interface ReloaderOptions {
  readonly context: CommandContext;
  readonly logger: Logger;
  /** The configuration that is in force. */
  readonly current: LoadedConfig;
  /** The file of the command line, for when none was found at the start. */
  readonly file: string | undefined;
  /** Puts another configuration in its place. @throws ConfigurationError, or another error; then nothing has changed */
  apply(loaded: LoadedConfig): Promise<void>;
}

/** Reads the configuration again, from where it was read at the start. */
export class Reloader {
  readonly #options: ReloaderOptions;
  #current: LoadedConfig;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<ReloadOutcome> | undefined;
  #isEnding = false;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#current = options.current;
  }

  /** Reloads when what is under way has ended, once for all who ask until then. Logs what comes of it; does not reject. */
  reload(): Promise<ReloadOutcome> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const running = this.#reload();
      this.#running = running;
      return running;
    });
    return this.#next;
  }

  /** Says that the server stops: what does not come to its end is no error. */
  end(): void {
    this.#isEnding = true;
  }

  async #reload(): Promise<ReloadOutcome> {
    const { context, file, apply, logger } = this.#options;
    try {
      const loaded = await loadWhole(this.#current.file ?? file, context);
      const changes = configurationChanges(this.#current.config, loaded.config);
      await apply(loaded);
      this.#current = loaded;
      for (const change of changes) logger.info({ ...change }, 'the configuration has changed');
      logger.info(
        { changes: changes.length },
        changes.length > 0
          ? 'the configuration was read again and is in force'
          : 'the configuration was read again and is the same; the files that it names were read again, too',
      );
      return { applied: true, changes, problems: [] };
    } catch (error) {
      const problems = failureProblems(error);
      const refused = { applied: false, changes: [], problems };
      // Nobody waits for it any more.
      if (this.#isEnding) return refused;
      for (const problem of problems) logger.error({ problem: printProblem(problem) }, 'the configuration is refused');
      logger.error(
        { problems: problems.length, ...(error instanceof ConfigurationError ? {} : { err: error }) },
        'the configuration was not reloaded; the one from before stays in force',
      );
      return refused;
    }
  }
}
