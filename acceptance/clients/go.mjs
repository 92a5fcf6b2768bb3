import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@entrepot/fixtures/run-command';

/**
 * A real `go` of this machine.
 * @typedef {object} GoClient
 * @property {string} name
 * @property {string} command
 */

/** Debian's, beside a newer one. */
const PLACES = [
  { name: 'go', command: 'go' },
  { name: 'go-1.19', command: '/usr/lib/go-1.19/bin/go' },
];

/** Those that are here. @returns {Promise<GoClient[]>} */
export async function goClients() {
  const found = [];
  for (const client of PLACES) {
    if (client.command.startsWith('/') && !existsSync(client.command)) continue;
    const result = await runCommand([client.command, 'version'], {
      cwd: '/',
      env: { ...process.env, GOTOOLCHAIN: 'local' },
      timeout: 20_000,
    }).catch(() => undefined);
    if (result?.code === 0) found.push(client);
  }
  return found;
}

/**
 * Runs `go` with an environment and caches of its own.
 * @param {GoClient} client
 * @param {readonly string[]} args
 * @param {{ project: string, home: string, proxy: string, settings?: Record<string, string>, timeout?: number }} place
 *   what is in `home` is all that it knows
 */
export function runGo({ command }, args, { project, home, proxy, settings = {}, timeout = 300_000 }) {
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    GOPATH: join(home, 'gopath'),
    // What was compiled says nothing of where it came from.
    GOCACHE: `${home}-build-cache`,
    GOENV: 'off',
    GOFLAGS: '-modcacherw -mod=mod',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
    GOPROXY: proxy,
    // What is not set here is the default of `go`, not the machine's.
    ...settings,
  };
  return runCommand([command, ...args], { cwd: project, env, timeout });
}

/** Empties what `go` keeps. @param {string} home */
export async function forget(home) {
  // What it started in the background may still be writing.
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
  await mkdir(home, { recursive: true });
}
