import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';

const MAIN = path.resolve(import.meta.dirname, '../../../dist/cli/main.js');
/** The longest wait for an answer: what held the event loop is known without it. */
const PATIENCE = 10_000;
const PROBE = path.join(import.meta.dirname, 'probe.mjs');

/** The password that the configuration finds as `${env:HOSTILE_PASSWORD}`. */
const PASSWORD = 'a-password-of-the-test';

/** One request. */
export interface Asked {
  readonly method: string;
  /** As it is sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A server in a process of its own that says how long its event loop was held. */
export interface WatchedServer {
  /** Sends a request, and reads the reply to its end. @returns its status; 0 when the connection ended without one */
  ask(asked: Asked): Promise<number>;
  /** The longest time for which the event loop was held since the last call, in milliseconds of its thread's own time. */
  held(): Promise<number>;
}

/**
 * @param files of its folder, by path
 * @param patience the longest wait for an answer, in milliseconds
 */
export async function startWatched(
  configuration: object,
  files: Readonly<Record<string, string | Buffer>>,
  patience = PATIENCE,
): Promise<WatchedServer> {
  const cwd = mkdtempSync(path.join(tmpdir(), 'entrepot-hostile-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true });
    writeFileSync(path.join(cwd, name), content);
  }
  writeFileSync(path.join(cwd, 'entrepot.yaml'), JSON.stringify(configuration));
  const inherited = Object.entries(process.env).filter(([name]) => !/^(ENTREPOT_|NODE_OPTIONS)/.test(name));
  const env = { ...Object.fromEntries(inherited), HOSTILE_PASSWORD: PASSWORD };
  const child = fork(MAIN, [], {
    cwd,
    env,
    execArgv: ['--import', PROBE],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  onTestFinished(async () => {
    agent.destroy();
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    rmSync(cwd, { recursive: true, force: true });
  });
  const port = await portOf(child.stdout as Readable);
  return {
    ask: ({ method, path: target, headers, body }) =>
      new Promise((resolve) => {
        let status = 0;
        const sent = request(
          { host: '127.0.0.1', port, method, path: target, headers, agent, timeout: patience },
          (reply) => {
            status = reply.statusCode ?? 0;
            reply.on('error', () => {}).resume();
          },
        );
        // A request that is too long for the parser ends with its connection.
        sent
          .on('error', () => {})
          .on('timeout', () => sent.destroy())
          .once('close', () => resolve(status));
        sent.end(body);
      }),
    async held() {
      child.send('held');
      return (await once(child, 'message'))[0] as number;
    },
  };
}

async function portOf(log: Readable): Promise<number> {
  const lines = createInterface({ input: log });
  for await (const line of lines) {
    const { msg, listen } = JSON.parse(line) as { msg?: string; listen?: [string] };
    if (msg !== 'serving' || listen === undefined) continue;
    log.resume();
    return Number(new URL(listen[0]).port);
  }
  throw new Error('the server did not start');
}
