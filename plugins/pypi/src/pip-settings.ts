import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseJson } from '@entrepot/core/formats';
import { configFolders, readSettings } from './client-settings.js';
import type { FoundIndex, FoundIndexes, Surroundings } from './client-settings.js';

/** The longest time until pip's interpreter answers; milliseconds. */
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
  isOwn: (url: string) => boolean,
): Promise<PipIndexes> {
  const others = (settings: Settings, key: string): string[] =>
    (settings.get(key) ?? '').split(/\s+/).filter((url) => url !== '' && !isOwn(url));
  const environment = environmentSettings(surroundings.env);
  const isSettled = others(environment, 'index-url').length > 0;
  const answer = isNeeded && !isSettled ? await askInterpreter(surroundings.env) : undefined;
  const layers = [{ settings: environment, place: 'the environment' }];
  for (const path of settingsFiles(surroundings, answer?.prefix)) {
    const text = await readSettings(path);
    if (text !== undefined) layers.push({ settings: parsePipSettings(text), place: path });
  }
  const found = (key: string): FoundIndex[] => {
    const layer = layers.find(({ settings }) => others(settings, key).length > 0);
    if (layer === undefined) return [];
    const source = `pip's configuration (${key}, from ${layer.place})`;
    return others(layer.settings, key).map((url) => ({ url, source }));
  };
  const without = layers.find(({ settings }) => settings.has('no-index'))?.settings.get('no-index');
  if (/^(?:1|y|yes|t|true|on)$/i.test(without ?? '')) return { extra: [] };
  const builtIn = answer && { url: answer.simpleUrl, source: "pip's built-in index" };
  return { main: found('index-url')[0], extra: found('extra-index-url'), builtIn };
}

/** `PIP_INDEX_URL` is `index-url`. An empty variable is none. */
function environmentSettings(env: Surroundings['env']): Settings {
  const keys = ['index-url', 'extra-index-url', 'no-index'];
  const given = keys.map((key) => [key, env[`PIP_${key.toUpperCase().replaceAll('-', '_')}`] ?? ''] as const);
  return new Map(given.filter(([, value]) => value !== ''));
}

function settingsFiles(surroundings: Surroundings, prefix: string | undefined): string[] {
  const { env, home, platform, root } = surroundings;
  const named = env['PIP_CONFIG_FILE'];
  if (named === '/dev/null' || named === 'nul') return [];
  const { user, machine } = configFolders(surroundings);
  const library = ['Library', 'Application Support', 'pip'];
  let places = [below(user, 'pip'), below(home, '.pip'), join(root, 'etc'), ...machine.map((at) => join(at, 'pip'))];
  if (platform === 'win32') places = [env['APPDATA'], home, env['ProgramData']].map((at) => below(at, 'pip'));
  if (platform === 'darwin') {
    places = [below(home, ...library), below(user, 'pip'), below(home, '.pip'), join(root, ...library)];
  }
  const file = platform === 'win32' ? 'pip.ini' : 'pip.conf';
  const files = [named, below(prefix, 'pip.conf'), ...places.map((at) => below(at, file))];
  return files.filter((path) => path !== undefined);
}

function below(folder: string | undefined, ...names: readonly string[]): string | undefined {
  return folder ? join(folder, ...names) : undefined;
}

/** The sections that count when something is installed, the weaker one first. */
const SECTIONS = ['global', 'install'];

interface Pair {
  readonly section: string;
  readonly key: string;
  value: string;
}

/** The settings of a pip.conf. As pip's own parser: `key = value` or `key: value`, indented lines go on, `#` and `;` comment. */
export function parsePipSettings(text: string): Settings {
  const pairs: Pair[] = [];
  let section = '';
  let last: Pair | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const header = /^\[([^\]]+)\]/.exec(line)?.[1];
    if (header !== undefined) {
      section = header.trim();
      last = undefined;
    } else if (/^\s/.test(line) && last !== undefined) last.value += ` ${line.trim()}`;
    else {
      const [, name, value = ''] = /^([^=:]+)[=:](.*)$/.exec(line) ?? [];
      const key = name?.trim().toLowerCase().replaceAll('_', '-').replace(/^--/, '');
      last = key === undefined ? undefined : { section, key, value };
      if (last !== undefined) pairs.push(last);
    }
  }
  const inOrder = SECTIONS.flatMap((name) => pairs.filter((pair) => pair.section === name));
  const settings = inOrder.map(({ key, value }) => [key, value.trim()] as const);
  return new Map(settings.filter(([, value]) => value !== ''));
}

interface Answer {
  readonly simpleUrl: string;
  readonly prefix?: string;
}

/** Caches pip's built-in index, which changes with the interpreter only. By `PATH`. */
const answers = new Map<string, Promise<Answer | undefined>>();

function askInterpreter(env: Surroundings['env']): Promise<Answer | undefined> {
  const path = env['PATH'] ?? '';
  const answer = answers.get(path) ?? askFirst(env);
  answers.set(path, answer);
  return answer;
}

async function askFirst(env: Surroundings['env']): Promise<Answer | undefined> {
  for (const interpreter of ['python3', 'python']) {
    const answer = parseJson(await run(interpreter, ['-I', '-c', QUESTION], env));
    const [simpleUrl, prefix] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
    if (typeof simpleUrl === 'string' && typeof prefix === 'string') return { simpleUrl, prefix };
  }
  // A pip that no interpreter on the path has: its help names the default.
  const help = await run('pip', ['download', '--help'], env);
  const simpleUrl = /\(default\s+(https?:\/\/[^\s)]+)\)/.exec(help)?.[1];
  return simpleUrl === undefined ? undefined : { simpleUrl };
}

/** Runs a program and returns its output. Empty when it is missing, fails or takes too long. */
async function run(program: string, args: readonly string[], env: Surroundings['env']): Promise<string> {
  const settings = { timeout: TIMEOUT, killSignal: 'SIGKILL', maxBuffer: 256 * 1024, windowsHide: true } as const;
  const ran = promisify(execFile)(program, args, { ...settings, env: { ...env } });
  return await ran.then(({ stdout }) => stdout).catch(() => '');
}
