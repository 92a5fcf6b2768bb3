import { availableParallelism } from 'node:os';
import { WorkerThreads } from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';
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
  readonly #threads = new WorkerThreads<HashTask, HashAnswer>(new URL('./hash-worker.js', import.meta.url), WORKERS);
  readonly #queue: Waiting[] = [];
  #disposed = false;

  /**
   * What a zip comes to.
   * @param size bytes of the zip
   * @throws ZipError saying what is wrong with the zip
   */
  async hash(task: HashTask, size: number): Promise<ZipSums> {
    // A worker runs what was built; on the sources alone there is none.
    if (size < SMALL || import.meta.url.endsWith('.ts'))
      return await hashZip(task.source, task.module, task.version, new WorkTurns());
    return await new Promise((resolve, reject) => {
      this.#queue.push({ task, resolve, reject });
      this.#next();
    });
  }

  /** Ends the workers; what waits for them fails. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const reason = new Error('the server is shutting down');
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    await this.#threads.dispose(reason);
  }

  #next(): void {
    if (this.#disposed || !this.#threads.hasRoom) return;
    const waiting = this.#queue.shift();
    if (waiting !== undefined) void this.#run(waiting);
  }

  async #run({ task, resolve, reject }: Waiting): Promise<void> {
    try {
      const answer = await this.#threads.run(task);
      if ('hash' in answer) resolve(answer);
      else reject('refused' in answer ? new ZipError(answer.refused) : new Error(answer.failed));
    } catch (error) {
      reject(error);
    }
    this.#next();
  }
}
