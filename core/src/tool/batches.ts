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
  #running = false;
  #current: { readonly jobs: readonly Job<Subject, Result>[]; readonly end: AbortController } | undefined;

  constructor(options: BatchOptions<Subject, Result>) {
    this.#options = options;
  }

  /** @throws the reason of `signal`, what `run` throws, and the error that it gave for the subject */
  async add(subject: Subject, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted();
    let giveUp = (): void => {};
    try {
      const result = await new Promise<Result | Error>((resolve, reject) => {
        const job: Job<Subject, Result> = { subject, settle: resolve, given: false };
        giveUp = () => {
          job.given = true;
          reject(signal.reason as Error);
          this.#leave(job);
        };
        signal.addEventListener('abort', giveUp, { once: true });
        this.#waiting.push(job);
        this.#schedule();
      });
      if (result instanceof Error) throw result;
      return result;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #leave(job: Job<Subject, Result>): void {
    this.#waiting = this.#waiting.filter((each) => each !== job);
    if (this.#current?.jobs.every(({ given }) => given) === true) this.#current.end.abort();
  }

  #schedule(): void {
    if (this.#running) return;
    if (this.#waiting.length >= this.#options.size) void this.#start();
    else this.#timer ??= setTimeout(() => void this.#start(), this.#options.gather);
  }

  async #start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#running) return;
    const jobs = this.#waiting.splice(0, this.#options.size);
    if (jobs.length === 0) return;
    this.#running = true;
    const end = new AbortController();
    this.#current = { jobs, end };
    const timer = setTimeout(
      () => end.abort(new DOMException(`no end within ${this.#options.timeout} ms`, 'TimeoutError')),
      this.#options.timeout,
    );
    try {
      const subjects = jobs.map(({ subject }) => subject);
      const results = await this.#options.run(subjects, end.signal);
      for (const [at, { settle }] of jobs.entries()) settle(results[at] ?? new Error('a batch left out a result'));
    } catch (error) {
      for (const { settle } of jobs) settle(error instanceof Error ? error : new Error(String(error)));
    } finally {
      clearTimeout(timer);
      this.#running = false;
      this.#current = undefined;
      if (this.#waiting.length > 0) this.#schedule();
    }
  }
}
