import { Worker } from 'node:worker_threads';

interface Running<Answer> {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

interface Idle {
  readonly worker: Worker;
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * Worker threads of one program, for work that would hold the event loop. Each runs one task at a time. They are started when
 * they are needed, and keep no process alive. The caller decides which task comes next.
 */
export class WorkerThreads<Task, Answer> {
  readonly #program: URL;
  readonly #most: number;
  readonly #keepIdle: number;
  readonly #idle: Idle[] = [];
  readonly #busy = new Map<Worker, Running<Answer>>();

  /**
   * @param program answers each message of a `Task` with one of an `Answer`
   * @param most threads at a time
   * @param keepIdle milliseconds after which an idle thread is ended; left out: never
   */
  constructor(program: URL, most: number, keepIdle = Infinity) {
    this.#program = program;
    this.#most = most;
    this.#keepIdle = keepIdle;
  }

  /** Whether a thread is free, or may be started. */
  get hasRoom(): boolean {
    return this.#idle.length > 0 || this.#busy.size < this.#most;
  }

  /** Runs `task`, at a time when there is room. Rejects when its thread fails, or is ended. */
  run(task: Task): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const idle = this.#idle.pop();
      clearTimeout(idle?.timer);
      const worker = idle?.worker ?? this.#start();
      this.#busy.set(worker, { resolve, reject });
      worker.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage(task);
    });
  }

  /** Ends all threads. Tasks that are running are rejected with `reason`. */
  async dispose(reason: Error): Promise<void> {
    const workers = [...this.#idle.splice(0).map(({ worker }) => worker), ...this.#busy.keys()];
    const running = [...this.#busy.values()];
    this.#busy.clear();
    for (const { reject } of running) reject(reason);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #start(): Worker {
    const worker = new Worker(this.#program);
    worker.on('message', (answer: Answer) => {
      const running = this.#release(worker);
      // A thread that was ended meanwhile is not used again.
      if (running === undefined) return;
      worker.unref();
      this.#idle.push({ worker, timer: this.#timerOf(worker) });
      running.resolve(answer);
    });
    worker.on('error', (error) => this.#release(worker)?.reject(error));
    return worker;
  }

  #release(worker: Worker): Running<Answer> | undefined {
    const running = this.#busy.get(worker);
    this.#busy.delete(worker);
    return running;
  }

  #timerOf(worker: Worker): NodeJS.Timeout | undefined {
    return this.#keepIdle === Infinity ? undefined : setTimeout(() => this.#end(worker), this.#keepIdle).unref();
  }

  #end(worker: Worker): void {
    const place = this.#idle.findIndex((idle) => idle.worker === worker);
    if (place >= 0) this.#idle.splice(place, 1);
    void worker.terminate();
  }
}
