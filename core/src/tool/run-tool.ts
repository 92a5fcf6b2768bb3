import { spawn, type ChildProcess } from 'node:child_process';

const KEPT_COMPLAINTS = 16 * 1024;
/** Milliseconds in which what a tool printed must have arrived once its group is gone. */
const DRAIN = 1_000;

/** One run of a program of others. */
export interface ToolRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The whole environment: nothing of this process's is added. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** The largest output, in bytes. */
  readonly largestOutput: number;
}

/** The output of a run. */
export interface ToolOutput {
  /** -1 where a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  /** The end of it. */
  readonly stderr: string;
}

/** A run without output: the program is missing, or it printed too much. The message names the program only. */
export class ToolFailure extends Error {
  readonly reason: 'missing' | 'output';

  constructor(reason: 'missing' | 'output', message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ToolFailure';
    this.reason = reason;
  }
}

/**
 * Runs a program without a shell and without input, in a process group that ends with it: at its end, when `signal` is aborted,
 * and when it prints too much. What leaves its group outlives it, but is not waited for.
 * @throws the reason of `signal`; ToolFailure. An exit code is no failure here.
 */
export async function runTool({ command, args, cwd, env, signal, largestOutput }: ToolRun): Promise<ToolOutput> {
  signal.throwIfAborted();
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = (): void => endGroup(child);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await collect(child, command, largestOutput);
  } finally {
    signal.removeEventListener('abort', end);
    end();
    signal.throwIfAborted();
  }
}

async function collect(child: ChildProcess, command: string, largestOutput: number): Promise<ToolOutput> {
  const pieces: Buffer[] = [];
  let size = 0;
  let stderr = '';
  child.stdout?.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size <= largestOutput) pieces.push(piece);
    else endGroup(child);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-KEPT_COMPLAINTS)));
  let drain: NodeJS.Timeout | undefined;
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => reject(new ToolFailure('missing', `${command} cannot be run`, cause)));
      child.once('exit', () => {
        // What it left behind holds the pipes open, and would be waited for.
        endGroup(child);
        drain = setTimeout(() => {
          child.stdout?.destroy();
          child.stderr?.destroy();
        }, DRAIN);
      });
      child.once('close', (status) => resolve(status ?? -1));
    });
    if (size > largestOutput) throw new ToolFailure('output', `${command} printed more than ${largestOutput} bytes`);
    return { code, stdout: Buffer.concat(pieces).toString(), stderr };
  } finally {
    clearTimeout(drain);
  }
}

/** Ends the program and what it started. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}
