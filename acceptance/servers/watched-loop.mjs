import { isMainThread } from 'node:worker_threads';
import { watchLoop } from '../loop-delay.mjs';

// Loaded into servers before all else: what it says stands in their logs.
if (isMainThread) watchLoop((text) => process.stderr.write(`${text}\n`));
