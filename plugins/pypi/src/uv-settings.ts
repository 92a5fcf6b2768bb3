import { join } from 'node:path';
import { isRecord } from '@entrepot/core/formats';
import { configFolders, readSettings } from './client-settings.js';
import type { FoundIndex, FoundIndexes, Surroundings } from './client-settings.js';

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

function settingsFiles(surroundings: Surroundings): string[] {
  const { env, platform, root } = surroundings;
  if (env['UV_CONFIG_FILE']) return [env['UV_CONFIG_FILE']];
  if (env['UV_NO_CONFIG'] === '1' || env['UV_NO_CONFIG'] === 'true') return [];
  const { user, machine } = configFolders(surroundings);
  const folders = platform === 'win32' ? [env['APPDATA'], env['PROGRAMDATA']] : [user, ...machine, join(root, 'etc')];
  return folders.flatMap((folder) => (folder ? [join(folder, 'uv', 'uv.toml')] : []));
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
  const found = (urls: readonly unknown[]): FoundIndex[] =>
    urls.flatMap((url) => (typeof url === 'string' ? [{ url, source }] : []));
  const indexes = listOf(settings['index']).filter(isRecord);
  // One that is `explicit` is for the packages that a project pins to it.
  const urls = (isDefault: boolean): unknown[] =>
    indexes
      .filter((index) => index['explicit'] !== true && (index['default'] === true) === isDefault)
      .map(({ url }) => url);
  return {
    main: found([...urls(true), settings['index-url']])[0],
    extra: found([...urls(false), ...listOf(settings['extra-index-url'])]),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function sourceOf(place: string): string {
  return `uv's configuration (${place})`;
}
