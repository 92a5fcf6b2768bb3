import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Distribution } from '../config/distribution.js';
import type { CommandContext } from './context.js';
import { giveBackMemory } from './give-back-memory.js';
import { runCli } from './run-cli.js';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

const context: Omit<CommandContext, 'distribution'> = {
  env: process.env,
  cwd: process.cwd(),
  readInput: () => text(process.stdin),
  write: (lines) => void process.stdout.write(`${lines}\n`),
  isTerminal: process.stdout.isTTY,
  writeError: (lines) => void process.stderr.write(`${lines}\n`),
  writeProgress: (text) => void process.stderr.write(`\r\u001b[K${text}`),
  // Loaded when they are needed: most commands serve nothing.
  createHost: async (...options) => {
    const host = await (await serving()).createHost(...options);
    giveBackMemory();
    return host;
  },
  checkConfiguration: async (...options) => (await import('../create-host.js')).checkConfiguration(...options),
  startScanWorker: async (...options) => (await serving()).startScanWorker(...options),
  onSignal: (listener) => {
    for (const signal of SIGNALS) process.on(signal, listener);
    return () => {
      for (const signal of SIGNALS) process.off(signal, listener);
    };
  },
  onHangup: (listener) => {
    const hear = (): void => void (isTerminalGone() ? process.kill(process.pid, 'SIGTERM') : listener());
    process.on('SIGHUP', hear);
    return () => process.off('SIGHUP', hear);
  },
  exit: (code) => process.exit(code),
};

/** Whether this was started on a terminal that is closed by now: a server that nobody can stop there must not stay behind. */
function isTerminalGone(): boolean {
  if (!context.isTerminal) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}

/**
 * Loads the server, whose files are for its own user alone, programs that it runs included: no other user of the machine
 * gets past access control.
 */
function serving(): Promise<typeof import('../create-host.js')> {
  process.umask(0o077);
  return import('../create-host.js');
}

/** Runs the command line of this process, and ends the process. */
export async function runCommandLine(distribution: Distribution | undefined): Promise<never> {
  const code = await runCli(process.argv.slice(2), { ...context, distribution });
  // Pipes are written asynchronously: what has been said must be out before the process ends.
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => {
      stream.write('', () => resolve());
    });
  }
  process.exit(code);
}
