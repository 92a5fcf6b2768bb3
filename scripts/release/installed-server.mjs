import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { outerEnvironment } from './run.mjs';
import { expect } from './steps.mjs';

const MINUTE = 60_000;

/**
 * Starts a server, hands its URL to `use`, and ends it by SIGTERM, as a terminal ends all processes of a command: npx passes on
 * none.
 * @template T
 * @param {string} folder
 * @param {readonly string[]} command
 * @param {Readonly<Record<string, string>>} env what is added to the environment
 * @param {(base: string, ready: number) => Promise<T>} use `ready`: how long the start took, in milliseconds
 * @returns {Promise<T>}
 */
export async function withServer(folder, command, env, use) {
  const [program = '', ...words] = command;
  const started = performance.now();
  const child = spawn(program, words, {
    cwd: folder,
    env: outerEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = once(child, 'close');
  const end = (/** @type {NodeJS.Signals} */ signal) => child.pid !== undefined && process.kill(-child.pid, signal);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  try {
    const base = await urlOf(child);
    const result = await use(base, performance.now() - started);
    end('SIGTERM');
    const late = setTimeout(end, MINUTE, 'SIGKILL');
    await ended;
    clearTimeout(late);
    expect(output.includes('"msg":"closed"'), `expected a server that closes after SIGTERM, found\n${output}`);
    return result;
  } finally {
    try {
      end('SIGKILL');
    } catch {
      // All of them have ended.
    }
  }
}

/**
 * The URL that the server says it listens on.
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, import('node:stream').Readable>} child
 * @returns {Promise<string>}
 */
async function urlOf(child) {
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the server did not start within a minute:\n${output}`)), MINUTE);
    child.once('close', () => reject(new Error(`the server ended before it served:\n${output}`)));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      const url = /"listen":\["(http:[^"]+)"/.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}
