import { expect, it, onTestFinished } from 'vitest';
import { WorkerThreads } from '../../src/api/worker-threads.js';

const PROGRAM = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, threadId } from 'node:worker_threads';
    parentPort.on('message', (task) => {
      if (task === 'fail') throw new Error('broken');
      if (task !== 'hang') parentPort.postMessage({ task, threadId });
    });
  `)}`,
);

function start(most: number): WorkerThreads<string, { readonly task: string; readonly threadId: number }> {
  const threads = new WorkerThreads<string, { readonly task: string; readonly threadId: number }>(PROGRAM, most);
  onTestFinished(() => threads.dispose(new Error('the test is over')));
  return threads;
}

it('run a task each, and are used again', async () => {
  const threads = start(2);
  const first = threads.run('a');
  expect(threads.hasRoom).toBe(true);
  const second = threads.run('b');
  expect(threads.hasRoom).toBe(false);
  const [a, b] = await Promise.all([first, second]);
  expect([a.task, b.task]).toEqual(['a', 'b']);
  expect(a.threadId).not.toBe(b.threadId);
  expect([a.threadId, b.threadId]).toContain((await threads.run('c')).threadId);
});

it('make room when one of them fails', async () => {
  const threads = start(1);
  await expect(threads.run('fail')).rejects.toThrow('broken');
  expect(threads.hasRoom).toBe(true);
  expect((await threads.run('a')).task).toBe('a');
});

it('are ended with the tasks that are running', async () => {
  const threads = start(1);
  const running = threads.run('hang');
  const refused = expect(running).rejects.toThrow('shutting down');
  await threads.dispose(new Error('shutting down'));
  await refused;
});
