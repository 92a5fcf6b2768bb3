import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** @typedef {{ passed: number, failed: number }} Counts */

/**
 * Runs a program with its output passed on, and reads the last `N passed, N failed` line from it. A program that
 * fails without having counted a failure counts as one.
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Promise<Counts>}
 */
export async function runCounted(program, args) {
  const { code, output } = await runShown(program, args);
  const counts = { passed: 0, failed: 0 };
  for (const { groups } of output.matchAll(/^(?<passed>\d+) passed, (?<failed>\d+) failed$/gm)) {
    counts.passed = Number(groups?.passed);
    counts.failed = Number(groups?.failed);
  }
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/**
 * Runs a program in the repository with its output passed on.
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Promise<{ code: number, output: string }>} the exit code, and the end of what it printed
 */
export function runShown(program, args) {
  return new Promise((resolve) => {
    // The program writes to a pipe; what it colours would end up in logs.
    const env = { ...process.env, NO_COLOR: '1' };
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text);
      output = (output + text).slice(-65_536);
    });
    child.once('error', (error) => resolve({ code: 1, output: error.message }));
    child.once('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
