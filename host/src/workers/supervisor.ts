import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, type Logger } from '@entrepot/core';
import { AggregatorRegistry, type MetricObject } from 'prom-client';
import { ConfigurationError, type ConfigurationProblem } from '../config/configuration-error.js';
import type { LoadedConfig } from '../config/load.js';
import type { ReloadOutcome } from '../config/reload-outcome.js';
import { assertFree, REUSES_PORT } from './reuse-port.js';
import { isOurs, type WorkerMessage } from './seat.js';

/** The first and the longest pause before a worker that ended is started anew; milliseconds. */
const PAUSES = { first: 1_000, longest: 30_000 };
/** A worker that ran for this long has not failed at its start; milliseconds. */
const SETTLED = 60_000;
/** The longest wait for the metrics of a worker; milliseconds. */
const COLLECTING = 5_000;

interface Place {
  readonly index: number;
  worker: Worker | undefined;
  startedAt: number;
  pause: number;
  /** Starts the next one. */
  again: NodeJS.Timeout | undefined;
}

export interface SupervisorOptions {
  readonly count: number;
  readonly loaded: LoadedConfig;
  readonly logger: Logger;
  /** Reads the configuration again, for an administrator who has asked a worker. */
  readonly reload: () => Promise<ReloadOutcome>;
}

/** Workers of one machine that serve the same listeners: starts them, starts those anew that end, and ends all. */
export class Supervisor {
  readonly #places: readonly Place[];
  readonly #logger: Logger;
  readonly #reload: () => Promise<ReloadOutcome>;
  /** The configuration of workers that begin. */
  #loaded: LoadedConfig;
  readonly #secret = randomBytes(32).toString('hex');
  /** Workers that are not ready yet. */
  readonly #beginning = new Set<Promise<unknown>>();
  #applying: Promise<void> | undefined;
  #reloads = 0;
  #folder = '';
  #isStopping = false;
  /** Ids of workers that have served. */
  readonly #ready = new Set<number>();
  readonly #collecting = new Map<number, (metrics: readonly object[]) => void>();
  #collections = 0;

  constructor({ count, loaded, logger, reload }: SupervisorOptions) {
    this.#places = Array.from({ length: count }, (_, index) => ({
      index,
      worker: undefined,
      startedAt: 0,
      pause: PAUSES.first,
      again: undefined,
    }));
    this.#logger = logger;
    this.#loaded = loaded;
    this.#reload = reload;
  }

  /**
   * Starts the workers: the first one alone, since it may make what the others find, or fail as all of them would.
   * @returns the guide for a user; or the exit code of the first one, which has said what is wrong
   */
  async start(): Promise<{ readonly guide: string } | { readonly exitCode: number }> {
    // A configuration is more than JSON.
    cluster.setupPrimary({ serialization: 'advanced' });
    this.#folder = await mkdtemp(join(tmpdir(), 'entrepot-workers-'));
    const [first, ...others] = this.#places as [Place, ...Place[]];
    const started = await this.#begin(first);
    if ('exitCode' in started) return started;
    const all = await Promise.all(others.map((place) => this.#begin(place)));
    for (const [at, found] of all.entries()) if ('exitCode' in found) this.#again(others[at] as Place);
    this.#logger.info({ workers: this.#places.length }, 'workers serve');
    return started;
  }

  /** Lets all workers end what they do. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(
      this.#places.map(async ({ worker, again }) => {
        clearTimeout(again);
        if (worker === undefined || worker.isDead()) return;
        const ended = new Promise((resolve) => worker.once('exit', resolve));
        send(worker, { entrepot: 'stop' });
        await ended;
      }),
    );
    await rm(this.#folder, { recursive: true, force: true });
  }

  /**
   * Has all workers serve another configuration, or none of them.
   * @throws ConfigurationError with what is wrong with it; an error when a worker ends meanwhile
   */
  async apply(loaded: LoadedConfig): Promise<void> {
    if (REUSES_PORT) await assertFree(loaded.config, this.#loaded.config);
    // A worker that begins has the configuration from before.
    while (this.#beginning.size > 0 || this.#applying !== undefined)
      await Promise.allSettled([...this.#beginning, this.#applying]);
    this.#applying = this.#apply(loaded).finally(() => (this.#applying = undefined));
    await this.#applying;
  }

  async #apply(loaded: LoadedConfig): Promise<void> {
    const workers = this.#places.flatMap(({ worker }) => (worker?.isConnected() === true ? worker : []));
    const id = (this.#reloads += 1);
    const asked = (message: WorkerMessage): Promise<(readonly ConfigurationProblem[])[]> =>
      Promise.all(workers.map((worker) => ask(worker, message, id)));
    const wrong = (await asked({ entrepot: 'prepare', id, loaded })).find((problems) => problems.length > 0);
    if (wrong === undefined) this.#loaded = loaded;
    // One that ends now begins anew with it.
    await asked({ entrepot: wrong === undefined ? 'apply' : 'abandon', id });
    if (wrong !== undefined) throw new ConfigurationError(wrong);
  }

  /** Ends all workers at once. */
  kill(): void {
    for (const { worker } of this.#places) worker?.process.kill('SIGKILL');
  }

  async #begin(place: Place): Promise<{ readonly guide: string } | { readonly exitCode: number }> {
    while (this.#applying !== undefined) await this.#applying.catch(() => {});
    const beginning = this.#start(place);
    this.#beginning.add(beginning);
    return await beginning.finally(() => this.#beginning.delete(beginning));
  }

  async #start(place: Place): Promise<{ readonly guide: string } | { readonly exitCode: number }> {
    if (this.#isStopping) return { exitCode: 0 };
    const worker = cluster.fork();
    place.worker = worker;
    place.startedAt = performance.now();
    const { index } = place;
    const seat = {
      index,
      count: this.#places.length,
      socket: join(this.#folder, `${index}-${worker.id}.sock`),
      secret: this.#secret,
      loaded: this.#loaded,
    };
    worker.on('error', (error) => this.#logger.warn({ error, worker: index }, 'a message to a worker failed'));
    return await new Promise((resolve) => {
      worker.on('message', (message: unknown) => {
        if (!isOurs(message)) return;
        if (message.entrepot === 'seat?') {
          send(worker, { entrepot: 'seat', seat });
          // Sent before, it was not heard of.
          if (this.#isStopping) send(worker, { entrepot: 'stop' });
          return;
        }
        if (message.entrepot !== 'ready') return void this.#hear(worker, message);
        this.#ready.add(worker.id);
        resolve({ guide: message.guide });
      });
      worker.once('exit', (code, signal) => {
        resolve({ exitCode: code ?? 1 });
        // Of one that never was ready, whoever started it hears.
        if (this.#ready.delete(worker.id) && !this.#isStopping) {
          this.#logger.error({ worker: index, code, signal }, 'a worker ended; it is started anew');
          this.#again(place);
        }
      });
    });
  }

  #again(place: Place): void {
    const hasSettled = performance.now() - place.startedAt > SETTLED;
    const pause = hasSettled ? PAUSES.first : place.pause;
    place.pause = Math.min(PAUSES.longest, pause * 2);
    // It keeps the process, which may have no other worker.
    place.again = setTimeout(() => {
      void this.#begin(place).then((started) => {
        if ('exitCode' in started && !this.#isStopping) this.#again(place);
      });
    }, pause);
  }

  async #hear(worker: Worker, message: WorkerMessage): Promise<void> {
    if (message.entrepot === 'collected') return this.#collecting.get(message.id)?.(message.metrics);
    if (message.entrepot === 'reload?')
      return send(worker, { entrepot: 'reloaded', id: message.id, outcome: await this.#reload() });
    if (message.entrepot !== 'metrics?') return;
    const text = await this.#metrics().catch((error: unknown) => `# ${messageOf(error)}\n`);
    send(worker, { entrepot: 'metrics', id: message.id, text });
  }

  /** The metrics of all workers, added up. Of one that does not answer they are missing. */
  async #metrics(): Promise<string> {
    const workers = this.#places.flatMap(({ worker }) => (worker?.isConnected() === true ? worker : []));
    const collected = await Promise.all(workers.map((worker) => this.#collect(worker)));
    const metrics = collected.filter((found) => found !== undefined) as MetricObject[][];
    return await AggregatorRegistry.aggregate(metrics as never).metrics();
  }

  async #collect(worker: Worker): Promise<readonly object[] | undefined> {
    const id = (this.#collections += 1);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<readonly object[] | undefined>((resolve) => {
        this.#collecting.set(id, resolve);
        timer = setTimeout(() => resolve(undefined), COLLECTING);
        send(worker, { entrepot: 'collect', id });
      });
    } finally {
      clearTimeout(timer);
      this.#collecting.delete(id);
    }
  }
}

/** Has a worker do its part in a reload. @returns what is wrong */
async function ask(worker: Worker, message: WorkerMessage, id: number): Promise<readonly ConfigurationProblem[]> {
  const { promise, resolve } = Promise.withResolvers<readonly ConfigurationProblem[]>();
  const hear = (found: unknown): void => {
    if (isOurs(found) && found.entrepot === 'done' && found.id === id) resolve(found.problems);
  };
  const gone = (): void => resolve([{ path: '', message: 'a worker ended while it opened the configuration' }]);
  worker.on('message', hear);
  worker.once('exit', gone);
  if (worker.isConnected()) worker.send(message);
  else gone();
  try {
    return await promise;
  } finally {
    worker.off('message', hear);
    worker.off('exit', gone);
  }
}

function send(worker: Worker, message: WorkerMessage): void {
  // One that has just ended is heard of by its exit.
  if (worker.isConnected()) worker.send(message);
}
