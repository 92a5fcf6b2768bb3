import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  builtProgram,
  WorkerLimitError,
  WorkerPool,
  ZipError,
  type WorkerPoolOptions,
} from '../../src/formats/index.js';

interface Answer {
  readonly task: string;
  readonly threadId: number;
}

const PROGRAM = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, threadId } from 'node:worker_threads';
    parentPort.on('message', (task) => {
      if (task === 'fail') throw new Error('broken');
      if (task === 'leave') process.exit();
      if (task === 'grow') for (const all = []; ; ) all.push(new Array(1000).fill({}));
      if (task === 'spin') for (;;);
      if (task !== 'hang') parentPort.postMessage({ task, threadId });
    });
  `)}`,
);

function start(most: number, options: Partial<WorkerPoolOptions> = {}): WorkerPool<string, Answer> {
  const pool = new WorkerPool<string, Answer>(PROGRAM, { most, ...options });
  onTestFinished(() => pool.dispose(new Error('the test is over')));
  return pool;
}

describe('a pool of threads', () => {
  it('gives each a task, and uses them again', async () => {
    const pool = start(2);
    const first = pool.run('a');
    expect(pool.hasRoom).toBe(true);
    const second = pool.run('b');
    expect(pool.hasRoom).toBe(false);
    const [a, b] = await Promise.all([first, second]);
    expect([a.task, b.task]).toEqual(['a', 'b']);
    expect(a.threadId).not.toBe(b.threadId);
    expect([a.threadId, b.threadId]).toContain((await pool.run('c')).threadId);
  });

  it('runs what waits in turn', async () => {
    const pool = start(1);
    const answers = await Promise.all(['a', 'b', 'c'].map((task) => pool.run(task)));
    expect(answers.map(({ task }) => task)).toEqual(['a', 'b', 'c']);
    expect(new Set(answers.map(({ threadId }) => threadId)).size).toBe(1);
  });

  it('keeps a thread for who holds it', async () => {
    const pool = start(1);
    const held = await pool.hold();
    const other = pool.run('other');
    const [first, second] = [await held.ask('a'), await held.ask('b')];
    expect(first.threadId).toBe(second.threadId);
    await held.release();
    expect((await other).task).toBe('other');
  });

  it('has room when one of them fails, and starts another', async () => {
    const pool = start(1);
    await expect(pool.run('fail')).rejects.toThrow('broken');
    expect(pool.hasRoom).toBe(true);
    expect((await pool.run('a')).task).toBe('a');
    await expect(pool.run('leave')).rejects.toThrow('has ended');
    expect((await pool.run('b')).task).toBe('b');
  });

  it('ends a task that takes too long, or too much', async () => {
    const pool = start(1, { patience: 200, limits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } });
    await expect(pool.run('spin')).rejects.toMatchObject({ exceeded: 'time' });
    const growing = start(1, { limits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 } });
    await expect(growing.run('grow')).rejects.toThrow(WorkerLimitError);
    expect((await growing.run('a')).task).toBe('a');
  });

  it('ends a task when its signal says so, and leaves the others alone', async () => {
    const pool = start(1);
    const stop = new AbortController();
    const running = pool.run('hang', stop.signal);
    const waiting = pool.run('waits', stop.signal);
    const after = pool.run('after');
    const refused = Promise.all([running, waiting].map((one) => expect(one).rejects.toThrow('hung up')));
    stop.abort(new Error('hung up'));
    await refused;
    expect((await after).task).toBe('after');
    await expect(pool.run('a', stop.signal)).rejects.toThrow('hung up');
  });

  it('ends a thread that nobody needs', async () => {
    const pool = start(1, { keepIdle: 0 });
    expect((await pool.run('a')).threadId).not.toBe((await pool.run('b')).threadId);
    const timed = start(1, { keepIdle: 1 });
    const { threadId } = await timed.run('a');
    await expect.poll(async () => (await timed.run('b')).threadId === threadId, { interval: 20 }).toBe(false);
  });

  it('ends all of them with the tasks that run and wait', async () => {
    const pool = start(1);
    const running = ['hang', 'waits'].map((task) => pool.run(task));
    const refused = Promise.all(running.map((one) => expect(one).rejects.toThrow('shutting down')));
    await pool.dispose(new Error('shutting down'));
    await refused;
    await expect(pool.run('late')).rejects.toThrow('shutting down');
  });

  it('passes on what is wrong with a zip, and uses the thread again', async () => {
    const program = new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { threadId } from 'node:worker_threads';
        import { answerTasks, ZipError } from '${new URL('../../dist/formats/index.js', import.meta.url).href}';
        answerTasks((task) => {
          if (task === 'broken') throw new ZipError('no zip');
          return { task, threadId };
        });
      `)}`,
    );
    const pool = new WorkerPool<string, Answer>(program, { most: 1 });
    onTestFinished(() => pool.dispose(new Error('the test is over')));
    const { threadId } = await pool.run('a');
    await expect(pool.run('broken')).rejects.toThrow(new ZipError('no zip'));
    expect(await pool.run('b')).toEqual({ task: 'b', threadId });
  });

  it('answers on its own thread where there is no built program', async () => {
    const program = builtProgram('file:///src/pool.ts', 'worker', () => (task: string) => task.toUpperCase());
    const pool = new WorkerPool<string, string>(program, { most: 1 });
    expect(await pool.run('a')).toBe('A');
    expect(builtProgram('file:///dist/pool.js', 'worker', () => String)).toEqual(new URL('file:///dist/worker.js'));
    await pool.dispose(new Error('the test is over'));
    await expect(pool.run('b')).rejects.toThrow('the test is over');
  });
});

/** Every program of a thread, as it is shipped. */
const ROOT = join(import.meta.dirname, '../../..');
const PROGRAMS = ['host', 'plugins']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
  )
  .filter((file) => /^[^]*\/src\/[^]*-worker\.ts$/.test(file) && !file.includes('node_modules'));

it.each(PROGRAMS)('%s starts as it was built', async (source) => {
  const built = join(ROOT, source.replace('/src/', '/dist/').replace(/\.ts$/, '.js'));
  const worker = new Worker(built);
  const online = new Promise<void>((resolve, reject) => {
    worker.once('online', resolve).once('error', reject);
  });
  await online;
  worker.unref();
  await worker.terminate();
  expect(relative(dirname(built), built)).toMatch(/-worker\.js$/);
});
