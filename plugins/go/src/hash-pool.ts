import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { hashZip, type ZipSums } from './dirhash.js';
import type { HashAnswer, HashTask } from './hash-worker.js';
import { ZipError } from './zip-reader.js';

/** Hashing 100 MB takes seconds: the server answers others meanwhile. */
const WORKERS = Math.max(1, Math.min(4, availableParallelism() - 1));
/** Zips that are smaller, in bytes, are hashed faster than a worker is asked. */
const SMALL = 64 * 1024;

interface Waiting {
  readonly task: HashTask;
  resolve(sums: ZipSums): void;
  reject(error: unknown): void;
}

/** Worker threads that sum up the zips of modules. Started when the first one is needed; they keep no process alive. */
export class HashPool {
  readonly #idle: Worker[] = [];
  readonly #queue: Waiting[] = [];
  readonly #busy = new Map<Worker, Waiting>();
  #disposed = false;

  /**
   * What the zip at `path` comes to.
   * @param size bytes of the zip
   * @throws ZipError saying what is wrong with the zip
   */
  async hash(task: HashTask, size: number): Promise<ZipSums> {
    // A worker runs what was built; on the sources alone there is none.
    if (size < SMALL || import.meta.url.endsWith('.ts')) return await hashZip(task.path, task.module, task.version);
    return await new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#next();
    });
  }

  /** Ends the workers; what waits for them fails. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const workers = [...this.#idle, ...this.#busy.keys()];
    const waiting = [...this.#queue.splice(0), ...this.#busy.values()];
    this.#idle.length = 0;
    this.#busy.clear();
    for (const { reject } of waiting) reject(new Error('the server is shutting down'));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    if (this.#queue.length === 0 || this.#disposed) return;
    const worker = this.#idle.pop() ?? (this.#busy.size < WORKERS ? this.#start() : undefined);
    if (worker === undefined) return;
    const waiting = this.#queue.shift() as Waiting;
    this.#busy.set(worker, waiting);
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    worker.postMessage(waiting.task);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./hash-worker.js', import.meta.url));
    worker.on('message', (answer: HashAnswer) => {
      const waiting = this.#busy.get(worker);
      this.#busy.delete(worker);
      worker.unref();
      this.#idle.push(worker);
      if ('hash' in answer) waiting?.resolve(answer);
      else waiting?.reject('refused' in answer ? new ZipError(answer.refused) : new Error(answer.failed));
      this.#next();
    });
    worker.on('error', (error) => {
      const waiting = this.#busy.get(worker);
      this.#busy.delete(worker);
      waiting?.reject(error);
      this.#next();
    });
    return worker;
  }
}
