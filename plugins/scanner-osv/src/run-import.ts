import { importDelta } from './import-delta.js';
import { importFull } from './import-full.js';
import type { ImportResult, ImportTask } from './import-task.js';

/** Does what a task says, on this thread. @throws Error when it cannot be done; nothing has changed then */
export function runImport(task: ImportTask): ImportResult {
  return task.kind === 'full' ? importFull(task) : importDelta(task);
}
