import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { FoundIndex, FoundIndexes, Surroundings } from './found-indexes.js';
import { readSettings } from './settings-file.js';

/** How long pip's interpreter may take to answer; milliseconds. */
const TIMEOUT = 5000;
/** Prints the index that is built into pip, and where this interpreter's own settings are. */
const QUESTION =
  'import json, sys; from pip._internal.models.index import PyPI; print(json.dumps([PyPI.simple_url, sys.prefix]))';

/** pip's indexes, and the one that it uses without any setting. */
export interface PipIndexes extends FoundIndexes {
  readonly builtIn?: FoundIndex | undefined;
}

type Settings = ReadonlyMap<string, string>;

/**
 * Reads pip's indexes in its order of precedence: the environment, the file that `PIP_CONFIG_FILE` names, the
 * interpreter's own settings, the user's, the machine's.
 * @param isNeeded whether the interpreter is asked where no setting names the main index
 * @param isOwn whether a URL is this server; such settings are skipped
 */
export async function readPipIndexes(
  surroundings: Surroundings,
  isNeeded: boolean,
  isOwn: (url: string) => boolean = () => false,
): Promise<PipIndexes> {
  const { env } = surroundings;
  const layers: { readonly settings: Settings; readonly place: string }[] = [
    { settings: environmentSettings(env), place: 'from the environment' },
  ];
  const named = env['PIP_CONFIG_FILE'];
  const isWithoutFiles = named === '/dev/null' || named === 'nul';
  let answer: Answer | undefined;
  if (!isWithoutFiles) {
    const files = [...(named === undefined ? [] : [named]), ...userFiles(surroundings), ...machineFiles(surroundings)];
    const read = await Promise.all(files.map(async (path) => ({ path, text: await readSettings(path) })));
    for (const { path, text } of read) {
      if (text !== undefined) layers.push({ settings: parsePipSettings(text), place: `from ${path}` });
    }
  }
  const others = (settings: Settings | undefined, key: string): string[] =>
    (settings?.get(key) ?? '').split(/\s+/).filter((url) => url !== '' && !isOwn(url));
  const isSettled = others(layers[0]?.settings, 'index-url').length > 0;
  if (isNeeded && !isSettled) {
    answer = await askInterpreter(env);
    const own = answer === undefined || isWithoutFiles ? undefined : join(answer.prefix, 'pip.conf');
    const text = own === undefined ? undefined : await readSettings(own);
    if (text !== undefined) {
      layers.splice(named === undefined ? 1 : 2, 0, { settings: parsePipSettings(text), place: `from ${own}` });
    }
  }
  const found = (key: string): FoundIndex[] => {
    const layer = layers.find(({ settings }) => others(settings, key).length > 0);
    const source = `pip's configuration (${key}, ${layer?.place})`;
    return others(layer?.settings, key).map((url) => ({ url, source }));
  };
  if (isTrue(layers.find(({ settings }) => settings.has('no-index'))?.settings.get('no-index'))) return { extra: [] };
  const builtIn = answer && { url: answer.simpleUrl, source: "pip's built-in index" };
  return { main: found('index-url')[0], extra: found('extra-index-url'), builtIn };
}

/** `PIP_INDEX_URL` is `index-url`. An empty variable is none. */
function environmentSettings(env: Surroundings['env']): Settings {
  const settings = new Map<string, string>();
  for (const key of ['index-url', 'extra-index-url', 'no-index']) {
    const value = env[`PIP_${key.toUpperCase().replaceAll('-', '_')}`];
    if (value !== undefined && value !== '') settings.set(key, value);
  }
  return settings;
}

function userFiles({ env, home, platform }: Surroundings): string[] {
  if (platform === 'win32') {
    const places = [home && join(home, 'pip', 'pip.ini'), env['APPDATA'] && join(env['APPDATA'], 'pip', 'pip.ini')];
    return places.filter((path): path is string => Boolean(path)).reverse();
  }
  if (home === undefined) return [];
  const config = env['XDG_CONFIG_HOME'] || join(home, '.config');
  const mac = platform === 'darwin' ? [join(home, 'Library', 'Application Support', 'pip', 'pip.conf')] : [];
  return [...mac, join(config, 'pip', 'pip.conf'), join(home, '.pip', 'pip.conf')];
}

function machineFiles({ env, platform, root }: Surroundings): string[] {
  if (platform === 'win32') return env['ProgramData'] ? [join(env['ProgramData'], 'pip', 'pip.ini')] : [];
  if (platform === 'darwin') return [join(root, 'Library', 'Application Support', 'pip', 'pip.conf')];
  const folders = env['XDG_CONFIG_DIRS']?.split(':').filter(Boolean) ?? [join(root, 'etc', 'xdg')];
  return [join(root, 'etc', 'pip.conf'), ...folders.map((folder) => join(folder, 'pip', 'pip.conf'))];
}

/** The sections that count when something is installed, the weaker one first. */
const SECTIONS = ['global', 'install'];

/** The settings of a pip.conf. As pip's own parser: `key = value` or `key: value`, indented lines go on, `#` and `;` comment. */
export function parsePipSettings(text: string): Settings {
  const sections = new Map<string, Map<string, string>>(SECTIONS.map((name) => [name, new Map<string, string>()]));
  let section: Map<string, string> | undefined;
  let key: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const header = /^\[([^\]]+)\]/.exec(line)?.[1];
    if (header !== undefined) {
      section = sections.get(header.trim());
      key = undefined;
    } else if (/^\s/.test(line) && key !== undefined) {
      section?.set(key, `${section.get(key) ?? ''} ${line.trim()}`);
    } else {
      const pair = /^([^=:]+)[=:](.*)$/.exec(line);
      key = pair?.[1]?.trim().toLowerCase().replaceAll('_', '-').replace(/^--/, '');
      if (key !== undefined) section?.set(key, pair?.[2]?.trim() ?? '');
    }
  }
  const settings = new Map<string, string>();
  for (const name of SECTIONS) {
    for (const [each, value] of sections.get(name) ?? []) if (value.trim() !== '') settings.set(each, value.trim());
  }
  return settings;
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(?:1|y|yes|t|true|on)$/i.test(value);
}

interface Answer {
  readonly simpleUrl: string;
  readonly prefix: string;
}

/** Caches pip's built-in index, which changes with the interpreter only. By `PATH`. */
const answers = new Map<string, Promise<Answer | undefined>>();

function askInterpreter(env: Surroundings['env']): Promise<Answer | undefined> {
  const path = env['PATH'] ?? '';
  let answer = answers.get(path);
  if (answer === undefined) {
    answer = askFirst(env);
    answers.set(path, answer);
  }
  return answer;
}

async function askFirst(env: Surroundings['env']): Promise<Answer | undefined> {
  for (const interpreter of ['python3', 'python']) {
    const output = await run(interpreter, ['-I', '-c', QUESTION], env);
    const answer = output === undefined ? undefined : parseAnswer(output);
    if (answer !== undefined) return answer;
  }
  // A pip that no interpreter on the path has: its help names the default.
  const help = await run('pip', ['download', '--help'], env);
  const simpleUrl = /\(default\s+(https?:\/\/[^\s)]+)\)/.exec(help ?? '')?.[1];
  return simpleUrl === undefined ? undefined : { simpleUrl, prefix: '/nonexistent' };
}

function parseAnswer(output: string): Answer | undefined {
  try {
    const [simpleUrl, prefix] = JSON.parse(output) as unknown[];
    return typeof simpleUrl === 'string' && typeof prefix === 'string' ? { simpleUrl, prefix } : undefined;
  } catch {
    return undefined;
  }
}

/** Runs a program and returns its output. `undefined` when it is missing, fails or takes too long. */
function run(program: string, args: readonly string[], env: Surroundings['env']): Promise<string | undefined> {
  return new Promise((resolve) => {
    const settings = { env: { ...env }, timeout: TIMEOUT, killSignal: 'SIGKILL', maxBuffer: 256 * 1024 } as const;
    execFile(program, args, { ...settings, windowsHide: true }, (error, stdout) =>
      resolve(error === null ? stdout : undefined),
    );
  });
}
