import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool, type ToolOutput } from './run-tool.js';

/** Environment variables of this process that tools with network access inherit. */
export const NETWORK_VARIABLES: readonly string[] = [
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/** Settings of a run, whose environment is otherwise empty. */
export interface PlaceRun {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Whether it may use the network. It then gets the settings of proxies and certificates. */
  readonly network?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Bytes. */
  readonly largestOutput: number;
}

/** A folder of one run of a tool. */
export interface ToolPlace {
  /** For what the tool reads and writes. It does not run in here. */
  readonly folder: string;
  /**
   * Runs `command` in an empty folder with an empty environment, so that settings of this process or in the scanned
   * content have no effect on it.
   */
  run(command: string, args: readonly string[], options: PlaceRun): Promise<ToolOutput>;
}

/** Gives `use` a place, and removes it with all that is in it. */
export async function withToolPlace<Result>(use: (place: ToolPlace) => Promise<Result>): Promise<Result> {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-tool-'));
  try {
    const [work, folder] = [join(root, 'work'), join(root, 'files')];
    const own = { HOME: join(root, 'home'), TMPDIR: join(root, 'tmp'), LC_ALL: 'C' };
    await Promise.all([work, folder, own.HOME, own.TMPDIR].map((path) => mkdir(path)));
    return await use({
      folder,
      run(command, args, { env, network = false, signal, largestOutput }) {
        const passed = pick(process.env, network ? ['PATH', ...NETWORK_VARIABLES] : ['PATH']);
        return runTool({ command, args, cwd: work, env: { ...passed, ...own, ...env }, signal, largestOutput });
      },
    });
  } finally {
    // What has left its group may still be writing.
    await rm(root, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Those variables of `environment` that are set. */
export function pick(
  environment: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const isPicked = (pair: [string, string | undefined]): pair is [string, string] =>
    names.includes(pair[0]) && pair[1] !== undefined;
  return Object.fromEntries(Object.entries(environment).filter(isPicked));
}
