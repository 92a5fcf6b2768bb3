import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** The time between two looks for the process that started this one; milliseconds. */
const WATCH = 250;

/**
 * Goes on as another program: signals reach it, and its end is ours. It also ends when the process that started this one does,
 * for a shell between npm and us dies of a signal and passes none on.
 * @param {string} program
 * @param {readonly string[]} words
 * @param {NodeJS.ProcessEnv} [env]
 */
export function handOver(program, words, env = process.env) {
  const child = spawn(program, words, { env, stdio: 'inherit' });
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGINT'])) {
    process.on(signal, () => {
      // A terminal sends its interrupt to the whole group: a second one would cut a drain short.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, WATCH);
  child.once('error', (error) => {
    clearInterval(watch);
    process.stderr.write(`${program} could not be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.once('exit', (code, signal) => {
    clearInterval(watch);
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}
