import { EventEmitter } from 'node:events';
import type { LogFields, Logger } from '@entrepot/core';
import type { CommandContext } from '../../src/cli/context.js';
import { runCli } from '../../src/cli/run-cli.js';
import type { LoadedConfig } from '../../src/config/load.js';
import type { Guide, Host, HostRepository } from '../../src/create-host.js';

/** A process that a test watches: what commands say, and what they did with the host. */
export class TestProcess {
  readonly output: string[] = [];
  readonly errors: string[] = [];
  readonly progress: string[] = [];
  /** Events of the host, in order. */
  readonly events: string[] = [];
  readonly exits: number[] = [];
  /** The log of the host. */
  readonly log: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = [];
  readonly signals = new EventEmitter();
  repositories: HostRepository[] = [];
  problems: { readonly path: string; readonly message: string }[] = [];
  loaded: LoadedConfig | undefined;
  env: Record<string, string> = {};
  input = '';
  isTerminal = false;
  /** Next steps that the host tells. */
  guide: Guide = { page: 'http://127.0.0.1:8080/', repositories: [] };
  /** Stands for the host's `listen`. */
  listen: () => Promise<{ readonly url: string }[]> = () => Promise.resolve([{ url: 'http://127.0.0.1:8080' }]);
  /** Makes the host; absent: one that serves nothing. */
  createHost: CommandContext['createHost'] | undefined;
  /** Holds the configuration against plugins; absent: says `repositories` and `problems`. */
  checkConfiguration: CommandContext['checkConfiguration'] | undefined;
  readonly cwd: string;

  constructor(cwd: string) {
    this.cwd = cwd;
  }

  run(...words: string[]): Promise<number> {
    return runCli(words, this.#context());
  }

  /** Resolves when a command waits for a signal. */
  async served(): Promise<void> {
    await this.happened('listen');
  }

  /** Resolves when the host has had an event. */
  async happened(event: string): Promise<void> {
    while (!this.events.includes(event)) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Resolves when the host has logged a message, so often. */
  async logged(message: string, times = 1): Promise<void> {
    while (this.log.filter((line) => line.message === message).length < times)
      await new Promise((resolve) => setImmediate(resolve));
  }

  #logger(): Logger {
    const at = (level: string) => (fields: LogFields, message: string) => {
      this.log.push({ level, fields, message });
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  #context(): CommandContext {
    return {
      env: this.env,
      cwd: this.cwd,
      readInput: () => Promise.resolve(this.input),
      isTerminal: this.isTerminal,
      write: (text) => this.output.push(...text.split('\n')),
      writeProgress: (text) => void this.progress.push(text),
      writeError: (text) => this.errors.push(...text.split('\n')),
      createHost: (loaded, options) => {
        this.loaded = loaded;
        this.events.push('create');
        return this.createHost?.(loaded, options) ?? Promise.resolve(this.#host());
      },
      checkConfiguration: (loaded, options) => {
        this.loaded = loaded;
        this.events.push('check');
        const checked = { repositories: this.repositories, problems: this.problems };
        return this.checkConfiguration?.(loaded, options) ?? Promise.resolve(checked);
      },
      startScanWorker: (loaded) => {
        this.loaded = loaded;
        this.events.push('listen');
        return Promise.resolve(() => Promise.resolve(void this.events.push('close')));
      },
      onSignal: (listener) => {
        this.signals.on('signal', listener);
        return () => this.signals.off('signal', listener);
      },
      onHangup: (listener) => {
        this.signals.on('hangup', listener);
        return () => this.signals.off('hangup', listener);
      },
      exit: (code) => this.exits.push(code),
    };
  }

  #host(): Host {
    return {
      repositories: this.repositories,
      logger: this.#logger(),
      listen: async () => {
        const listeners = await this.listen();
        this.events.push('listen');
        return listeners;
      },
      guide: () => this.guide,
      prepare: (loaded) => {
        this.loaded = loaded;
        this.events.push('prepare');
        return Promise.resolve({
          apply: () => void this.events.push('apply'),
          abandon: () => Promise.resolve(void this.events.push('abandon')),
        });
      },
      close: () => {
        this.events.push('close');
        return Promise.resolve();
      },
    };
  }
}
