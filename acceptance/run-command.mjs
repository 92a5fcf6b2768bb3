import { spawn } from 'node:child_process';

const KEPT_OUTPUT = 256 * 1024;

/**
 * @typedef {object} CommandResult
 * @property {number | string} code the exit code, or the signal that ended it
 * @property {string} stdout
 * @property {string} stderr
 * @property {number} milliseconds
 */

/**
 * Runs a program to its end. Never rejects because of the exit code; a program that outlives `timeout` is killed.
 * @param {readonly string[]} command the program and its arguments
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, timeout: number, input?: string, kept?: number }} options `timeout` in
 *   milliseconds; `kept`: how much of the end of each output is kept, in characters
 * @returns {Promise<CommandResult>}
 */
export function runCommand(command, { cwd, env, timeout, input = '', kept = KEPT_OUTPUT }) {
  const [program = '', ...rest] = command;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeout);
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout = (stdout + text).slice(-kept)));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr = (stderr + text).slice(-kept)));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const ended = late ? `no end within ${timeout} ms` : (code ?? signal ?? 'unknown');
      resolve({ code: ended, stdout, stderr, milliseconds: performance.now() - started });
    });
  });
}

/**
 * What a failed command said, for a message.
 * @param {CommandResult} result
 */
export function outputOf(result) {
  return `exit ${result.code}\n${result.stdout.slice(-3000)}\n${result.stderr.slice(-3000)}`;
}
