import { parentPort, Worker, type ResourceLimits } from 'node:worker_threads';
import { Limiter } from './limiter.js';
import { ZipError } from './zip-reader.js';

/** Answers the tasks of one thread, one after the other. */
export type Answering<Task, Answer> = (task: Task) => Answer | Promise<Answer>;

/** Limits of the threads. */
export interface WorkerPoolOptions {
  /** Threads at a time. */
  readonly most: number;
  /** Milliseconds after which an idle thread is ended; 0: at once. Left out: never. */
  readonly keepIdle?: number | undefined;
  /** Milliseconds that one task may take. */
  readonly patience?: number | undefined;
  /** Memory of each thread. */
  readonly limits?: ResourceLimits | undefined;
}

/** A task took longer than it may, or more memory. Its thread was ended. */
export class WorkerLimitError extends Error {
  override readonly name = 'WorkerLimitError';
  readonly exceeded: 'time' | 'memory';

  constructor(exceeded: 'time' | 'memory', cause?: unknown) {
    super(`a task took too much ${exceeded}`, { cause });
    this.exceeded = exceeded;
  }
}

/** One thread, held exclusively. */
export interface HeldWorker<Task, Answer> {
  /**
   * Has the thread answer; one task at a time.
   * @throws WorkerLimitError; ZipError; what the program throws, as an error with the same message; the reason of `signal`
   */
  ask(task: Task, signal?: AbortSignal): Promise<Answer>;
  /** Gives the thread back; to be called once. */
  release(): Promise<void>;
}

/**
 * The program `name` beside the module `url`, as it was built. A thread runs what was built: on the sources alone there is none, and
 * `start` answers in its place.
 */
export function builtProgram<Task, Answer>(
  url: string,
  name: string,
  start: () => Answering<Task, Answer>,
): URL | (() => Answering<Task, Answer>) {
  return url.endsWith('.ts') ? start : new URL(`./${name}.js`, url);
}

/** Has this thread answer the tasks that a `WorkerPool` gives it; a `ZipError` is passed on. For the program of a thread. */
export function answerTasks<Task, Answer>(answer: Answering<Task, Answer>): void {
  parentPort?.on('message', async (task: Task) => {
    const answered = await answerOrZipError(answer, task);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    parentPort?.postMessage(answered);
  });
}

/** It tells of the task, and leaves the thread fit for the next one. */
async function answerOrZipError<Task, Answer>(answer: Answering<Task, Answer>, task: Task): Promise<Answer | ZipError> {
  try {
    return await answer(task);
  } catch (error) {
    if (error instanceof ZipError) return error;
    throw error;
  }
}

/**
 * Threads of one program, for work that would hold the event loop. Each has one task at a time; who finds none free waits for its turn.
 * They are started when they are needed, used again, and keep no process alive.
 */
export class WorkerPool<Task, Answer> {
  readonly #program: URL | (() => Answering<Task, Answer>);
  readonly #options: WorkerPoolOptions;
  readonly #limiter: Limiter;
  readonly #idle: Thread<Task, Answer>[] = [];
  readonly #busy = new Set<Thread<Task, Answer>>();
  readonly #end = new AbortController();

  /** @param program calls `answerTasks`; or `builtProgram` */
  constructor(program: URL | (() => Answering<Task, Answer>), options: WorkerPoolOptions) {
    this.#program = program;
    this.#options = options;
    this.#limiter = new Limiter(options.most);
  }

  /** Whether a thread is free, or may be started. */
  get hasRoom(): boolean {
    return this.#limiter.hasRoom;
  }

  /** Has a thread answer `task`. @throws as `HeldWorker.ask`, and the reason of `dispose` */
  async run(task: Task, signal?: AbortSignal): Promise<Answer> {
    const held = await this.hold(signal);
    try {
      return await held.ask(task, signal);
    } finally {
      await held.release();
    }
  }

  /** Takes a thread for several tasks. @throws the reason of `signal`, or of `dispose` */
  async hold(signal?: AbortSignal): Promise<HeldWorker<Task, Answer>> {
    const ends = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    const done = await this.#limiter.acquire(ends);
    if (ends.aborted) {
      done();
      throw ends.reason;
    }
    const thread = this.#next();
    thread.keep();
    this.#busy.add(thread);
    return {
      ask: (task, stop) => thread.ask(task, this.#options.patience, stop),
      release: async () => {
        this.#busy.delete(thread);
        await this.#rest(thread);
        done();
      },
    };
  }

  /** Ends all threads. Tasks that run or wait are rejected with `reason`, and so are those that come later. */
  async dispose(reason: Error): Promise<void> {
    this.#end.abort(reason);
    const threads = [...this.#idle.splice(0), ...this.#busy];
    await Promise.all(threads.map((thread) => thread.end(reason)));
  }

  #next(): Thread<Task, Answer> {
    for (let thread = this.#idle.pop(); thread !== undefined; thread = this.#idle.pop()) {
      // One that failed while nobody had it.
      if (!thread.isOver) return thread;
    }
    return this.#start();
  }

  #start(): Thread<Task, Answer> {
    const program = this.#program;
    return typeof program === 'function'
      ? ownThread(program())
      : new WorkerThread(new Worker(program, { resourceLimits: this.#options.limits }));
  }

  async #rest(thread: Thread<Task, Answer>): Promise<void> {
    const { keepIdle = Infinity } = this.#options;
    if (thread.isOver || keepIdle === 0 || this.#end.signal.aborted) {
      await thread.end(new Error('the thread is not needed any more'));
      return;
    }
    this.#idle.push(thread);
    thread.rest(keepIdle, () => void this.#idle.splice(this.#idle.indexOf(thread), 1));
  }
}

interface Thread<Task, Answer> {
  readonly isOver: boolean;
  ask(task: Task, patience: number | undefined, signal: AbortSignal | undefined): Promise<Answer>;
  /** Marks it as idle. `leave` is called before an idle thread is ended. */
  rest(keepIdle: number, leave: () => void): void;
  /** Marks it as in use. */
  keep(): void;
  end(reason: Error): Promise<void>;
}

/** The thread that asks: for sources, which no other thread can run. */
function ownThread<Task, Answer>(answer: Answering<Task, Answer>): Thread<Task, Answer> {
  return { isOver: false, ask: async (task) => await answer(task), rest() {}, keep() {}, async end() {} };
}

class WorkerThread<Task, Answer> implements Thread<Task, Answer> {
  readonly #worker: Worker;
  #reject: ((reason: unknown) => void) | undefined;
  #resolve: ((answer: Answer) => void) | undefined;
  #over: Error | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer | Error) => {
      // A copy of a `ZipError` is a plain one.
      if (answer instanceof Error) this.#reject?.(new ZipError(answer.message));
      else this.#resolve?.(answer);
    });
    worker.on('error', (error: NodeJS.ErrnoException) => {
      this.#fail(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new WorkerLimitError('memory', error) : error);
    });
    worker.on('exit', () => this.#fail(new Error('the thread has ended')));
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  async ask(task: Task, patience: number | undefined, signal: AbortSignal | undefined): Promise<Answer> {
    signal?.throwIfAborted();
    if (this.#over !== undefined) throw this.#over;
    const stop = (): void => void this.end(signal?.reason as Error);
    const timer =
      patience === undefined ? undefined : setTimeout(() => void this.end(new WorkerLimitError('time')), patience);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await new Promise<Answer>((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
        this.#worker.postMessage(task);
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      this.#resolve = undefined;
      this.#reject = undefined;
    }
  }

  rest(keepIdle: number, leave: () => void): void {
    this.#worker.unref();
    if (keepIdle === Infinity) return;
    this.#timer = setTimeout(() => {
      leave();
      void this.#worker.terminate();
    }, keepIdle).unref();
  }

  keep(): void {
    clearTimeout(this.#timer);
    this.#worker.ref();
  }

  async end(reason: Error): Promise<void> {
    this.#fail(reason);
    await this.#worker.terminate();
  }

  #fail(reason: Error): void {
    this.#over ??= reason;
    this.#reject?.(this.#over);
  }
}
