import { builtProgram, WorkerPool } from '@entrepot/core/formats';
import { type ImportResult, type ImportTask, runImport } from './run-import.js';

/**
 * Memory of the thread for what it makes of a dump, in MiB. Little of it for what is new: records live for a moment, and a
 * larger space only grows before it is swept.
 */
const LIMITS = { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 24 };

const threads = new WorkerPool<ImportTask, ImportResult>(
  builtProgram(import.meta.url, 'import-worker', () => runImport),
  { most: 1, keepIdle: 0, limits: LIMITS },
);

/**
 * Does `task` on a thread of its own, so that the server answers meanwhile.
 * @throws Error when it cannot be done, or when `signal` is aborted; what was in force stays so
 */
export async function importAside(task: ImportTask, signal: AbortSignal): Promise<ImportResult> {
  return await threads.run(task, signal);
}
