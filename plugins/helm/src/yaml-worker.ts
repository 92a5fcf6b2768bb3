import { parentPort } from 'node:worker_threads';
import { answering } from './yaml-task.js';

const answer = answering();

parentPort?.on('message', (question: Parameters<typeof answer>[0]) => {
  const reply = answer(question);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort?.postMessage(reply);
});
