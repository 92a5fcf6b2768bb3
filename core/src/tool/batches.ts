import { untilAborted } from '../formats/until-aborted.js';

export interface BatchOptions<Subject, Result> {
  /** The most of one batch. */
  readonly size: number;
  /** Milliseconds in which a batch gathers. */
  readonly gather: number;
  /** Milliseconds that one batch may take. */
  readonly timeout: number;
  /** Does a batch: one result a subject, in order. Batches are done one after another. */
  run(subjects: readonly Subject[], signal: AbortSignal): Promise<readonly (Result | Error)[]>;
}

interface Job<Subject, Result> {
  readonly subject: Subject;
  readonly settle: (result: Result | Error) => void;
  given: boolean;
}

/**
 * Gathers single scans into batches, for tools whose start is expensive. A batch is aborted when all its callers are
 * gone.
 */
export class Batches<Subject, Result> {
  readonly #options: BatchOptions<Subject, Result>;
  #waiting: Job<Subject, Result>[] = [];
  #timer: NodeJS.Timeout | undefined;
  #current: { readonly jobs: readonly Job<Subject, Result>[]; readonly end: AbortController } | undefined;

  constructor(options: BatchOptions<Subject, Result>) {
    this.#options = options;
  }

  /** @throws the reason of `signal`, what `run` throws, and the error that it gave for the subject */
  async add(subject: Subject, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<Result | Error>();
    const job: Job<Subject, Result> = { subject, settle: resolve, given: false };
    this.#waiting.push(job);
    this.#schedule();
    let result: Result | Error;
    try {
      result = await untilAborted(promise, signal);
    } catch (error) {
      this.#leave(job);
      throw error;
    }
    if (result instanceof Error) throw result;
    return result;
  }

  #leave(job: Job<Subject, Result>): void {
    job.given = true;
    this.#waiting = this.#waiting.filter((each) => each !== job);
    if (this.#current?.jobs.every(({ given }) => given) === true) this.#current.end.abort();
  }

  #schedule(): void {
    if (this.#current !== undefined) return;
    if (this.#waiting.length >= this.#options.size) void this.#start();
    else this.#timer ??= setTimeout(() => void this.#start(), this.#options.gather);
  }

  async #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { size, timeout } = this.#options;
    const jobs = this.#waiting.splice(0, size);
    if (jobs.length === 0) return;
    const end = new AbortController();
    this.#current = { jobs, end };
    const late = new DOMException(`no end within ${timeout} ms`, 'TimeoutError');
    const timer = setTimeout(() => end.abort(late), timeout);
    try {
      const subjects = jobs.map(({ subject }) => subject);
      const results = await this.#options.run(subjects, end.signal);
      for (const [at, { settle }] of jobs.entries()) settle(results[at] ?? new Error('a batch left out a result'));
    } catch (error) {
      for (const { settle } of jobs) settle(error instanceof Error ? error : new Error(String(error)));
    } finally {
      clearTimeout(timer);
      this.#current = undefined;
      if (this.#waiting.length > 0) this.#schedule();
    }
  }
}
