import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { printableUrl, withoutTrailingSlashes, type DiscoveredUpstream, type DiscoveryContext } from '@entrepot/core';
import { fieldsOf, textOf, type Fields } from '@entrepot/core/formats';
import { builtInIndex } from './built-in-index.js';
import { readToml } from './toml.js';

/** The name of the registry that cargo uses where nothing else is said. */
const PUBLIC = 'crates-io';
const SPARSE = 'sparse+';
/** Replacements of replacements that are followed: cargo refuses a circle. */
const MOST_REPLACEMENTS = 10;

/** The sources of cargo's settings. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Cargo reads the settings of this folder and of those above it. */
  readonly cwd: string;
}

/** A sparse index, as a setting names it. */
interface FoundIndex {
  readonly url: string;
  readonly source: string;
  /** The registry whose token is for it. Absent: there is none. */
  readonly registry?: string | undefined;
}

/**
 * Finds the sparse index that cargo on this machine takes crates from: what replaces the public registry in its settings, else
 * the one that is built into it. Empty: none is set up, it is no sparse index, or there is no cargo to ask.
 */
export async function discoverUpstreams(
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
  surroundings: Surroundings = { env: process.env, cwd: folderOr(process.cwd) ?? '/' },
): Promise<readonly DiscoveredUpstream[]> {
  const files = await settingsFiles(surroundings, 'config');
  const set = replacement(files, surroundings.env);
  const found = set !== undefined && !isOwn(set.url) ? set : undefined;
  const built =
    found === undefined && (set === undefined || isOwn(set.url)) ? await builtInIndex(surroundings.env) : undefined;
  const index =
    found ?? (built === undefined ? undefined : { url: built, source: 'the registry that is built into cargo' });
  const url = URL.parse(index?.url ?? '');
  if (index === undefined || (url?.protocol !== 'https:' && url?.protocol !== 'http:')) return [];
  const { registry } = index as FoundIndex;
  const authorization =
    useClientCredentials && registry !== undefined ? await tokenOf(registry, surroundings) : undefined;
  return [{ url: withoutTrailingSlashes(printableUrl(url)), source: index.source, authorization }];
}

/** Finds what replaces the public registry. `undefined`: nothing does. An index that is not sparse has an empty URL. */
function replacement(files: readonly SettingsFile[], env: NodeJS.ProcessEnv): FoundIndex | undefined {
  const ofSource = (name: string, key: string): Found | undefined => setting(files, ['source', name, key]);
  let name = PUBLIC;
  let from: Found | undefined;
  for (let count = 0; count < MOST_REPLACEMENTS; count += 1) {
    const next = ofSource(name, 'replace-with');
    if (next === undefined) break;
    name = next.value;
    from = next;
  }
  const fromEnv = env[`CARGO_REGISTRIES_${name.toUpperCase().replaceAll('-', '_')}_INDEX`];
  const index =
    ofSource(name, 'registry') ??
    (fromEnv ? { value: fromEnv, path: 'the environment' } : setting(files, ['registries', name, 'index']));
  if (index === undefined) return from && { url: '', source: from.path };
  const url = index.value.startsWith(SPARSE) ? index.value.slice(SPARSE.length) : '';
  return { url, source: `cargo's configuration (${name}, from ${index.path})`, registry: name };
}

/** The token that cargo sends to a registry: the raw value of `Authorization`. */
async function tokenOf(registry: string, surroundings: Surroundings): Promise<string | undefined> {
  const fromEnv = surroundings.env[`CARGO_REGISTRIES_${registry.toUpperCase().replaceAll('-', '_')}_TOKEN`];
  if (fromEnv) return fromEnv;
  const files = [
    ...(await settingsFiles(surroundings, 'credentials', [])),
    ...(await settingsFiles(surroundings, 'config')),
  ];
  return setting(files, ['registries', registry, 'token'])?.value;
}

interface SettingsFile {
  readonly path: string;
  readonly fields: Fields;
}

interface Found {
  readonly value: string;
  readonly path: string;
}

/** The value of the first file that has one. */
function setting(files: readonly SettingsFile[], keys: readonly string[]): Found | undefined {
  for (const { path, fields } of files) {
    let value: unknown = fields;
    for (const key of keys) value = fieldsOf(value)[key];
    const text = textOf(value);
    if (text !== undefined) return { value: text, path };
  }
  return undefined;
}

/** Reads cargo's settings, the strongest first: those of this folder and of each above it, then those of its home. */
async function settingsFiles(
  { env, cwd }: Surroundings,
  stem: string,
  folders: readonly string[] = foldersAbove(cwd).map((folder) => join(folder, '.cargo')),
): Promise<readonly SettingsFile[]> {
  const home = env['HOME'] || folderOr(homedir);
  const own = env['CARGO_HOME'] || (home && join(home, '.cargo'));
  const files: SettingsFile[] = [];
  for (const folder of new Set([...folders, ...(own ? [own] : [])])) {
    // Where both are there, cargo takes the one without `.toml`.
    for (const name of [stem, `${stem}.toml`]) {
      const path = join(folder, name);
      const fields = await readToml(path);
      if (fields === undefined) continue;
      files.push({ path, fields });
      break;
    }
  }
  return files;
}

function foldersAbove(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...foldersAbove(parent)];
}

/** `HOME` and the working directory can be missing. */
function folderOr(find: () => string): string | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}
