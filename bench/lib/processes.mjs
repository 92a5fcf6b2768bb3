import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Linux reports CPU time in this many ticks a second to every program, whatever the kernel's own rate is. */
const TICKS_PER_SECOND = 100;
const STOP_GRACE = 5_000;
const OUTPUT_LIMIT = 20_000;

/** Every process that this run started and that has not ended. */
const running = new Set();

/** Starts a program. `output()` is what it wrote last, for error messages. */
export function start(command, argv, options = {}) {
  const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  const keep = (chunk) => {
    output = (output + chunk).slice(-OUTPUT_LIMIT);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => keep(`${error.message}\n`));
  running.add(child);
  child.once('close', () => running.delete(child));
  return { child, pid: child.pid, output: () => output, ended: () => child.exitCode !== null || !running.has(child) };
}

/** Ends a process that `start` started: asks, then insists. */
export async function stop(started) {
  const { child } = started;
  if (started.ended()) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const forced = globalThis.setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
  await closed;
  clearTimeout(forced);
}

/** For a run that is interrupted: no waiting. */
export function killAll() {
  for (const child of running) child.kill('SIGKILL');
}

/** Runs a program to its end. */
export async function run(command, argv, options = {}) {
  const started = start(command, argv, options);
  let stdout = '';
  started.child.stdout.on('data', (chunk) => (stdout += chunk));
  const timer = options.timeout && globalThis.setTimeout(() => started.child.kill('SIGKILL'), options.timeout);
  const [code] = await once(started.child, 'close');
  clearTimeout(timer);
  return { code, stdout, output: started.output() };
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A process and its descendants: nginx serves from workers. */
export function family(pid) {
  const found = [pid];
  for (const member of found) {
    try {
      const children = readFileSync(`/proc/${member}/task/${member}/children`, 'utf8').trim();
      if (children) found.push(...children.split(' ').map(Number));
    } catch {
      // It ended in between.
    }
  }
  return found;
}

/** CPU seconds, user and system, of the process and its descendants so far, those that have ended included. */
export function cpuSeconds(pid) {
  let ticks = 0;
  for (const member of family(pid)) {
    const fields = readFileSync(`/proc/${member}/stat`, 'utf8').split(') ')[1].split(' ');
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks / TICKS_PER_SECOND;
}

function memory(pid, field) {
  let kibibytes = 0;
  for (const member of family(pid)) {
    const match = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${member}/status`, 'utf8'));
    kibibytes += Number(match?.[1] ?? 0);
  }
  return kibibytes / 1024;
}

/** Resident memory now, in MiB. */
export function residentMiB(pid) {
  return memory(pid, 'VmRSS');
}

/** The largest resident memory so far, in MiB. */
export function peakMiB(pid) {
  return memory(pid, 'VmHWM');
}

/** @throws Error when another process than this one (or a descendant) listens on the port. */
export function assertListener(port, pid) {
  const hexadecimal = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(`:${hexadecimal}`) && fields[3] === '0A') inodes.add(`socket:[${fields[9]}]`);
    }
  }
  for (const member of family(pid)) {
    for (const descriptor of readdirSync(`/proc/${member}/fd`)) {
      try {
        if (inodes.has(readlinkSync(`/proc/${member}/fd/${descriptor}`))) return;
      } catch {
        // Closed in between.
      }
    }
  }
  throw new Error(`port ${port}: expected process ${pid} to listen, found another one or none`);
}

/** Asks until the answer is 200 or another success. @returns milliseconds since `since`. */
export async function waitUntilReady(started, url, since, deadline = 60_000) {
  for (;;) {
    if (started.ended()) throw new Error(`the server ended before it was ready:\n${started.output()}`);
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000), headers: { connection: 'close' } });
      await response.arrayBuffer();
      if (response.ok) return performance.now() - since;
    } catch {
      // Not listening yet.
    }
    if (performance.now() - since > deadline) {
      throw new Error(`${url} did not answer 200 within ${deadline} ms:\n${started.output()}`);
    }
    await sleep(10);
  }
}
