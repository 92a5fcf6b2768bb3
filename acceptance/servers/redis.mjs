import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { provideTool } from '@entrepot/fixtures/tools';
import { freePort } from './entrepot.mjs';

/** The program; `undefined` where this machine has none. */
export function redisProgram() {
  return provideTool('redis');
}

/** A Redis in memory. */
export class RedisServer {
  port = 0;
  #program;
  #password;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;

  /** @param {string} program @param {string} [password] that clients need */
  constructor(program, password = '') {
    this.#program = program;
    this.#password = password;
  }

  async start() {
    this.port ||= await freePort();
    const args = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const child = spawn(this.#program, [...args, '--requirepass', this.#password], { stdio: 'ignore' });
    this.#process = child;
    for (let left = 500; !(await isListening(this.port)); left -= 1) {
      if (left === 0 || child.exitCode !== null) throw new Error('redis-server did not start');
      await delay(20);
    }
  }

  async kill() {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/** Whether somebody listens on a port of this machine. @param {number} port */
export async function isListening(port) {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
