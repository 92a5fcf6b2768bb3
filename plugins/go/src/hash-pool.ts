import { availableParallelism } from 'node:os';
import { builtProgram, WorkerPool, WorkTurns, ZipError } from '@entrepot/core/formats';
import { answerHash, hashZip, type HashAnswer, type HashTask, type ZipSums } from './dirhash.js';

/** Hashing 100 MB takes seconds: the server answers others meanwhile. */
const WORKERS = Math.max(1, Math.min(4, availableParallelism() - 1));
/** Zips that are smaller, in bytes, are hashed faster than a worker is asked. */
const SMALL = 64 * 1024;

/** Worker threads that hash the zips of modules. Started when the first one is needed; they keep no process alive. */
export class HashPool {
  readonly #threads = new WorkerPool<HashTask, HashAnswer>(
    builtProgram(import.meta.url, 'hash-worker', () => answerHash),
    { most: WORKERS },
  );

  /**
   * Hashes a zip.
   * @param size bytes of the zip
   * @throws ZipError saying what is wrong with the zip
   */
  async hash(task: HashTask, size: number): Promise<ZipSums> {
    if (size < SMALL) return await hashZip(task.source, task.module, task.version, new WorkTurns());
    const answer = await this.#threads.run(task);
    if ('hash' in answer) return answer;
    throw new ZipError(answer.refused);
  }

  /** Ends the workers; what waits for them fails. */
  async dispose(): Promise<void> {
    await this.#threads.dispose(new Error('the server is shutting down'));
  }
}
