import { execFile } from 'node:child_process';

const NAMES = ['GOPROXY', 'GONOPROXY', 'GOSUMDB', 'GONOSUMDB'] as const;

/** The settings of `go env` for where modules come from. */
export type GoEnvironment = Readonly<Record<(typeof NAMES)[number], string>>;

/** Milliseconds; `go env` takes some ten. */
const TIMEOUT = 3_000;

/**
 * Asks the `go` of this machine, which knows its environment, its files and its own defaults; `undefined` where there is
 * none, or where it does not answer.
 */
export async function goEnvironment(
  surroundings: Readonly<Record<string, string | undefined>> = process.env,
): Promise<GoEnvironment | undefined> {
  // Not of a module that this directory may be in, and no other toolchain than the one that is here.
  const env = { ...surroundings, GOWORK: 'off', GOTOOLCHAIN: 'local', GO111MODULE: 'on' };
  const text = await new Promise<string | undefined>((resolve) => {
    execFile('go', ['env', '-json', ...NAMES], { env, timeout: TIMEOUT, encoding: 'utf8' }, (error, stdout) =>
      resolve(error === null ? stdout : undefined),
    );
  });
  return text === undefined ? undefined : parseEnvironment(text);
}

function parseEnvironment(text: string): GoEnvironment | undefined {
  try {
    const values = JSON.parse(text) as Record<string, unknown>;
    const settings = NAMES.map((name) => [name, typeof values[name] === 'string' ? values[name] : '']);
    return Object.fromEntries(settings) as GoEnvironment;
  } catch {
    return undefined;
  }
}
