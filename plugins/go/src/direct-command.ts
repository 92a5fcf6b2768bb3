import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NETWORK_VARIABLES, pick, runTool, ToolFailure, type ToolOutput } from '@entrepot/core/tool';
import { GIT_CREDENTIALS, type CredentialsSocket } from './credentials-socket.js';
import { failure } from './errors.js';

/** The most output of `go` that is read, in bytes: a list of versions. */
const LARGEST_OUTPUT = 16 * 1024 * 1024;
/** Seconds after which git gives up a transfer that stands still. */
const STALLED = '60';

/** Variables of this process that `go` and git get: where they are, and how the network is reached. */
const PASSED_ON = ['PATH', 'GOROOT', ...NETWORK_VARIABLES, 'GIT_SSL_CAINFO', 'GIT_SSL_CAPATH'];

/** The surroundings of a run of `go`. */
export interface DirectPlace {
  /** Empty, for everything that the run writes. */
  readonly folder: string;
  readonly credentials: CredentialsSocket;
  /** Variables of the proxy that guards where the run leads; absent: the environment has one. */
  readonly proxy?: Readonly<Record<string, string>> | undefined;
  /** Patterns of modules that may be asked for by plain http; absent: none. */
  readonly insecure: string | undefined;
}

/** The environment of a run: empty, but for the network. */
function environmentOf({ folder, credentials, proxy, insecure }: DirectPlace, work: string): Record<string, string> {
  const settings: (readonly [string, string])[] = [
    ...GIT_CREDENTIALS,
    // Nothing that goes on in the background.
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['core.hooksPath', '/dev/null'],
  ];
  const env: Record<string, string> = {
    HOME: join(folder, 'home'),
    TMPDIR: join(folder, 'tmp'),
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
    ...pick(process.env, PASSED_ON),
    ...(proxy && { ...proxy, NO_PROXY: '', no_proxy: '' }),
  };
  for (const [at, [key, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${at}`] = key;
    env[`GIT_CONFIG_VALUE_${at}`] = value;
  }
  return env;
}

/**
 * Runs `go` in a place of its own.
 * @throws the reason of `signal`; EntrepotError `upstream-unavailable` when it cannot be run, or prints too much
 */
export async function runDirect(args: readonly string[], place: DirectPlace, signal: AbortSignal): Promise<ToolOutput> {
  await Promise.all(['home', 'work', 'tmp'].map((name) => mkdir(join(place.folder, name))));
  const cwd = join(place.folder, 'work');
  try {
    const env = environmentOf(place, cwd);
    return await runTool({ command: 'go', args, cwd, env, signal, largestOutput: LARGEST_OUTPUT });
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    throw failure('upstream-unavailable', 'GO_FAILED', error.message, { cause: error });
  }
}
