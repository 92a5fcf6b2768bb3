import { parentPort, workerData } from 'node:worker_threads';
import { runImport } from './run-import.js';
import type { ImportTask } from './import-task.js';

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
parentPort?.postMessage(runImport(workerData as ImportTask));
