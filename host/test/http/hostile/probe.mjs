import { isMainThread } from 'node:worker_threads';

/*
 * Loaded into the server before all else. Says to its parent how long the event loop was held at the most since it was last
 * asked, in milliseconds of this thread's own time: on a loaded machine the clock on the wall also counts what others do.
 */
if (isMainThread && process.send !== undefined) {
  const TICK = 5;
  let wall = performance.now();
  let used = process.threadCpuUsage();
  let held = 0;
  const look = () => {
    const now = performance.now();
    const { user, system } = process.threadCpuUsage(used);
    held = Math.max(held, Math.min(now - wall, (user + system) / 1000));
    wall = now;
    used = process.threadCpuUsage();
  };
  setInterval(look, TICK).unref();
  process.on('message', () => {
    look();
    process.send?.(held);
    held = 0;
  });
}
