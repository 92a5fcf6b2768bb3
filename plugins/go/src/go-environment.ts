import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { isRecord, parseJson } from '@entrepot/core/formats';

const NAMES = ['GOPROXY', 'GONOPROXY', 'GOSUMDB', 'GONOSUMDB'] as const;

/** The settings of `go env` for where modules come from. */
export type GoEnvironment = Readonly<Record<(typeof NAMES)[number], string>>;

/** Milliseconds; `go env` takes some ten. */
const TIMEOUT = 3_000;

/**
 * Asks the `go` of this machine, which knows its environment, its files and its own defaults; `undefined` where there is
 * none, or where it does not answer.
 */
export async function goEnvironment(surroundings: NodeJS.ProcessEnv = process.env): Promise<GoEnvironment | undefined> {
  // Not of a module that this directory may be in, and no other toolchain than the one that is here.
  const env = { ...surroundings, GOWORK: 'off', GOTOOLCHAIN: 'local', GO111MODULE: 'on' };
  const asked = promisify(execFile)('go', ['env', '-json', ...NAMES], { env, timeout: TIMEOUT });
  const values = await asked.then(({ stdout }) => parseJson(stdout)).catch(() => undefined);
  if (!isRecord(values)) return undefined;
  const settings = NAMES.map((name) => [name, typeof values[name] === 'string' ? values[name] : '']);
  return Object.fromEntries(settings) as GoEnvironment;
}
