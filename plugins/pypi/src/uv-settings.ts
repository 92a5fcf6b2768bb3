import { join } from 'node:path';
import { isRecord } from '@entrepot/core/formats';
import type { FoundIndex, FoundIndexes, Surroundings } from './found-indexes.js';
import { readSettings } from './settings-file.js';

/** Reads uv's indexes in its order of precedence: the environment, the user's `uv.toml`, the machine's. */
export async function readUvIndexes(surroundings: Surroundings): Promise<FoundIndexes> {
  const found: FoundIndexes[] = [environmentIndexes(surroundings.env)];
  for (const path of settingsFiles(surroundings)) {
    const text = await readSettings(path);
    if (text !== undefined) found.push(await indexesOf(text, path));
  }
  return {
    main: found.find(({ main }) => main !== undefined)?.main,
    extra: found.flatMap(({ extra }) => extra),
  };
}

function environmentIndexes(env: Surroundings['env']): FoundIndexes {
  const named = (variable: string): FoundIndex[] =>
    (env[variable] ?? '')
      .split(/\s+/)
      .filter(Boolean)
      // `name=url` names an index; a query may hold a `=` as well.
      .map((text) => ({ url: text.replace(/^[\w.-]+=(?=[a-z][a-z0-9+.-]*:)/i, ''), source: sourceOf(variable) }));
  return {
    main: named('UV_DEFAULT_INDEX')[0] ?? named('UV_INDEX_URL')[0],
    extra: [...named('UV_INDEX'), ...named('UV_EXTRA_INDEX_URL')],
  };
}

function settingsFiles({ env, home, platform, root }: Surroundings): string[] {
  if (env['UV_CONFIG_FILE']) return [env['UV_CONFIG_FILE']];
  if (env['UV_NO_CONFIG'] === '1' || env['UV_NO_CONFIG'] === 'true') return [];
  if (platform === 'win32') {
    return [env['APPDATA'], env['PROGRAMDATA']].flatMap((folder) => (folder ? [join(folder, 'uv', 'uv.toml')] : []));
  }
  const config = env['XDG_CONFIG_HOME'] || (home && join(home, '.config'));
  const folders = env['XDG_CONFIG_DIRS']?.split(':').filter(Boolean) ?? [join(root, 'etc', 'xdg')];
  const user = config ? [join(config, 'uv', 'uv.toml')] : [];
  return [...user, ...folders.map((folder) => join(folder, 'uv', 'uv.toml')), join(root, 'etc', 'uv', 'uv.toml')];
}

/** The indexes of a `uv.toml`; none for one that uv could not read either. */
async function indexesOf(text: string, path: string): Promise<FoundIndexes> {
  // Loaded here and not above: most machines have no such file.
  const { parse } = await import('smol-toml');
  let settings: Record<string, unknown>;
  try {
    settings = parse(text);
  } catch {
    return { extra: [] };
  }
  const source = sourceOf(path);
  let main: FoundIndex | undefined;
  const extra: FoundIndex[] = [];
  for (const index of Array.isArray(settings['index']) ? (settings['index'] as readonly unknown[]) : []) {
    // One that is `explicit` is for the packages that a project pins to it.
    if (!isRecord(index) || typeof index['url'] !== 'string' || index['explicit'] === true) continue;
    if (index['default'] === true) main ??= { url: index['url'], source };
    else extra.push({ url: index['url'], source });
  }
  const old = settings['index-url'];
  if (main === undefined && typeof old === 'string') main = { url: old, source };
  const more = settings['extra-index-url'];
  for (const url of Array.isArray(more) ? (more as readonly unknown[]) : []) {
    if (typeof url === 'string') extra.push({ url, source });
  }
  return { main, extra };
}

function sourceOf(place: string): string {
  return `uv's configuration (${place})`;
}
