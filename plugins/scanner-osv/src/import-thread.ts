import { Worker } from 'node:worker_threads';
import type { ImportResult, ImportTask } from './import-task.js';
import { runImport } from './run-import.js';

/**
 * Memory of the thread for what it makes of a dump, in MiB. Little of it for what is new: records live for a moment, and a
 * larger space only grows before it is swept.
 */
const LIMITS = { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 24 };

/**
 * Does `task` on a thread of its own, so that the server answers meanwhile.
 * @throws Error when it cannot be done, or when `signal` is aborted; what was in force stays so
 */
export async function importAside(task: ImportTask, signal: AbortSignal): Promise<ImportResult> {
  signal.throwIfAborted();
  // A worker runs what was built; on the sources alone there is none.
  if (import.meta.url.endsWith('.ts')) return runImport(task);
  const worker = new Worker(new URL('./import-worker.js', import.meta.url), {
    workerData: task,
    resourceLimits: LIMITS,
  });
  const stop = (): void => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<ImportResult>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('the import was stopped')));
    });
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
