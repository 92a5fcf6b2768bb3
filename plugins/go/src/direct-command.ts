import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EntrepotError } from '@entrepot/core';
import type { CredentialsSocket } from './credentials-socket.js';

/** How much of what `go` prints is read, in bytes: a list of versions, and the end of its complaints. */
const LARGEST_OUTPUT = 16 * 1024 * 1024;
const KEPT_COMPLAINTS = 16 * 1024;
/** Seconds after which git gives up a transfer that stands still. */
const STALLED = '60';

/** What `go` and git get of the environment of this process: where they are, and how the network is reached. */
const PASSED_ON = [
  'PATH',
  'GOROOT',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
];

/** Where a run of `go` finds what it needs, and nothing else. */
export interface DirectPlace {
  /** Empty, for everything that the run writes. */
  readonly folder: string;
  readonly credentials: CredentialsSocket;
  /** Patterns of modules that may be asked for by plain http; absent: none. */
  readonly insecure: string | undefined;
}

/** What a run printed. */
export interface CommandOutput {
  readonly code: number;
  readonly stdout: string;
  /** The end of it. */
  readonly stderr: string;
}

/** The environment of a run: that of nobody, but for the network. */
async function environmentOf(
  { folder, credentials, insecure }: DirectPlace,
  surroundings: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly env: Record<string, string>; readonly work: string }> {
  const [home, work, temporary] = ['home', 'work', 'tmp'].map((name) => join(folder, name)) as [string, string, string];
  await Promise.all([home, work, temporary].map((path) => mkdir(path)));
  const settings: (readonly [string, string])[] = [
    ...credentials.gitSettings,
    // Nothing that goes on in the background.
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['core.hooksPath', '/dev/null'],
  ];
  const env: Record<string, string> = {
    HOME: home,
    TMPDIR: temporary,
    LC_ALL: 'C',
    GOENV: 'off',
    GOWORK: 'off',
    GO111MODULE: 'on',
    GOPATH: join(folder, 'gopath'),
    GOMODCACHE: join(folder, 'modules'),
    GOCACHE: join(folder, 'build'),
    GOFLAGS: '-modcacherw',
    GOPROXY: 'direct',
    GOSUMDB: 'off',
    GOTOOLCHAIN: 'local',
    GOTELEMETRY: 'off',
    GOVCS: '*:git',
    CGO_ENABLED: '0',
    // `go` asks git for what it needs itself, for pages that say where a repository is. Its words are split at spaces.
    GOAUTH: /\s/.test(work) ? 'off' : `git ${work}`,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_COUNT: String(settings.length),
    GIT_TEMPLATE_DIR: '',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    SSH_ASKPASS: '',
    GCM_INTERACTIVE: 'never',
    GIT_ALLOW_PROTOCOL: insecure === undefined ? 'https' : 'https:http',
    GIT_HTTP_LOW_SPEED_LIMIT: '1',
    GIT_HTTP_LOW_SPEED_TIME: STALLED,
    ...credentials.environment,
    ...(insecure !== undefined && { GOINSECURE: insecure }),
  };
  for (const [at, [key, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${at}`] = key;
    env[`GIT_CONFIG_VALUE_${at}`] = value;
  }
  for (const name of PASSED_ON) {
    const value = surroundings[name];
    if (value !== undefined) env[name] = value;
  }
  return { env, work };
}

/**
 * Runs `go` in a place of its own, without a shell, in a process group that ends with it: at its end, when `signal` is
 * aborted, and when it prints too much.
 * @throws the reason of `signal`; EntrepotError `upstream-unavailable` when it cannot be run
 */
export async function runDirect(
  args: readonly string[],
  place: DirectPlace,
  signal: AbortSignal,
  surroundings: Readonly<Record<string, string | undefined>> = process.env,
): Promise<CommandOutput> {
  const { env, work } = await environmentOf(place, surroundings);
  signal.throwIfAborted();
  const child = spawn('go', args, { cwd: work, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = (): void => endGroup(child);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await collect(child);
  } finally {
    signal.removeEventListener('abort', end);
    end();
    signal.throwIfAborted();
  }
}

async function collect(child: ChildProcess): Promise<CommandOutput> {
  const pieces: Buffer[] = [];
  let size = 0;
  let stderr = '';
  child.stdout?.on('data', (piece: Buffer) => {
    size += piece.length;
    if (size <= LARGEST_OUTPUT) pieces.push(piece);
    else endGroup(child);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-KEPT_COMPLAINTS)));
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new EntrepotError('upstream-unavailable', 'go cannot be run', { code: 'GO_FAILED', cause })),
    );
    child.once('close', (status) => resolve(status ?? -1));
  });
  if (size > LARGEST_OUTPUT) {
    throw new EntrepotError('upstream-unavailable', `go printed more than ${LARGEST_OUTPUT} bytes`, {
      code: 'GO_FAILED',
    });
  }
  return { code, stdout: Buffer.concat(pieces).toString(), stderr };
}

/** Ends `go` and what it started. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}
