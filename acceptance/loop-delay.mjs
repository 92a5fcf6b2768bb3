import { monitorEventLoopDelay } from 'node:perf_hooks';

/** A loop that turns later than this is told of; milliseconds. */
const LATE = 500;
const INTERVAL = 1000;
/** Lines that are kept. */
const MOST = 200;

/** @type {{ at: number, text: string }[]} */
const late = [];

/**
 * Watches the event loop of this process, and tells of each second in which it turned late. The CPU time of its own thread says why:
 * one that is blocked by its own work has used as much, one that was given no processor has not.
 * @param {(text: string) => void} tell
 */
export function watchLoop(tell) {
  const delays = monitorEventLoopDelay({ resolution: 20 });
  delays.enable();
  let cpu = process.threadCpuUsage();
  let since = performance.now();
  setInterval(() => {
    const now = performance.now();
    const { user, system } = process.threadCpuUsage(cpu);
    const most = delays.max / 1e6;
    if (most > LATE) {
      const [delay, time, used] = [most, now - since, (user + system) / 1000].map(Math.round);
      tell(`event loop late by up to ${delay} ms; in these ${time} ms its thread used ${used} ms of CPU`);
    }
    delays.reset();
    cpu = process.threadCpuUsage();
    since = now;
  }, INTERVAL).unref();
}

/** Keeps what a watch has told. @param {string} text */
export function noteLate(text) {
  late.push({ at: performance.now(), text });
  if (late.length > MOST) late.shift();
}

/**
 * Lists the lines since an instant.
 * @param {number} since as `performance.now()` says it @returns {readonly string[]}
 */
export function lateSince(since) {
  return late.filter(({ at }) => at >= since).map(({ text }) => text);
}
