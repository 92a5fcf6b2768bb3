import { readdir, readFile, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import {
  basicAuthorization,
  EntrepotError,
  messageOf,
  printableUrl,
  urlAuthorization,
  withoutTrailingSlashes,
  type DiscoveredUpstream,
  type DiscoveryContext,
} from '@entrepot/core';
import { ZipReader } from '@entrepot/core/formats';
import { readSettings, type Settings } from './settings.js';

/** The largest file of settings that is read, in bytes. */
const LARGEST = 1024 * 1024;
/** The repository that every build has, by its id. */
const CENTRAL = 'central';

/** The sources of Maven's configuration. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** The settings of all users, for where the installation has none. */
  readonly global: string;
}

interface Found {
  readonly url: string;
  readonly id: string;
  readonly source: string;
}

/**
 * The repository that Maven on this machine asks: a mirror of `central` in its settings, a `central` of an active profile, else the one
 * that the installed Maven names itself. Empty: there is neither a setting nor a Maven.
 * @throws EntrepotError `configuration` for settings that cannot be read
 */
export async function discoverUpstreams(
  { useClientCredentials, isOwn = () => false }: DiscoveryContext,
  surroundings: Surroundings = { env: process.env, home: homeFolder(), global: '/etc/maven/settings.xml' },
): Promise<readonly DiscoveredUpstream[]> {
  const home = await mavenHome(surroundings.env);
  const files = [...userSettings(surroundings), ...(home === undefined ? [] : [join(home, 'conf', 'settings.xml')])];
  const settings: { readonly file: string; readonly settings: Settings }[] = [];
  for (const file of [...files, surroundings.global]) {
    const read = await settingsAt(file, surroundings);
    if (read !== undefined) settings.push({ file, settings: read });
  }
  const named = settings.flatMap(({ file, settings: { mirrors, repositories } }): Found[] => {
    const source = `Maven's settings (${file})`;
    const mirror = mirrors.find(({ of, url }) => mirrorsCentral(of) && isWeb(url) && !isOwn(url));
    return [
      ...(mirror ? [mirror] : []),
      ...repositories.filter(({ id, url }) => id === CENTRAL && isWeb(url) && !isOwn(url)),
    ].map(({ id, url }) => ({ id, url, source }));
  });
  const found = named[0] ?? (home === undefined ? undefined : await builtIn(home));
  if (found === undefined || !isWeb(found.url) || isOwn(found.url)) return [];
  const server = settings.flatMap((one) => one.settings.servers).find(({ id }) => id === found.id);
  const url = new URL(found.url);
  const authorization = !useClientCredentials
    ? undefined
    : ((server && basicAuthorization(server.username, server.password)) ?? urlAuthorization(url));
  return [
    {
      url: withoutTrailingSlashes(printableUrl(url)),
      source: found.source,
      ...(authorization !== undefined && { authorization }),
    },
  ];
}

/** The home of the user. A user without a name has none, and settings of nobody. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return '/nonexistent';
  }
}

/** Whether a mirror stands for `central`: Maven, "Using Mirrors for Repositories", Advanced Mirror Specification. */
export function mirrorsCentral(of: string): boolean {
  const names = of.split(',').map((name) => name.trim());
  if (names.includes(`!${CENTRAL}`)) return false;
  // `external:http:*` is for repositories without TLS.
  return names.some((name) => name === '*' || name === CENTRAL || name === 'external:*');
}

function userSettings({ env, home }: Surroundings): string[] {
  const words = (env['MAVEN_ARGS'] ?? '').split(/\s+/).filter((word) => word !== '');
  const at = words.findIndex((word) => word === '-s' || word === '--settings');
  const named = at === -1 ? undefined : words[at + 1];
  return [named ?? join(home, '.m2', 'settings.xml')];
}

async function settingsAt(file: string, { env, home }: Surroundings): Promise<Settings | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch {
    return undefined;
  }
  try {
    if (bytes.length > LARGEST) throw new Error(`expected ${LARGEST} bytes at most`);
    return readSettings(bytes, file, (name) => (name === 'user.home' ? home : env[name.replace(/^env\./, '')]));
  } catch (error) {
    throw new EntrepotError('configuration', `Maven's settings (${file}) cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The folder of the Maven that this machine runs. */
async function mavenHome(env: Surroundings['env']): Promise<string | undefined> {
  const named = env['MAVEN_HOME'] ?? env['M2_HOME'];
  if (named) return named;
  for (const place of (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')) {
    const program = await realpath(join(place, 'mvn')).catch(() => undefined);
    if (program !== undefined) return dirname(dirname(program));
  }
  return undefined;
}

/** The repository in the POM that all others inherit from: in an archive of the installation. */
async function builtIn(home: string): Promise<Found | undefined> {
  const folder = join(home, 'lib');
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((one) => /^maven-(?:model-builder|impl|api-impl)\b.*\.jar$/.test(one)).sort()) {
    const url = superPomUrl(join(folder, name));
    if (url !== undefined) return { id: CENTRAL, url, source: `the installed Maven (${join(folder, name)})` };
  }
  return undefined;
}

function superPomUrl(archive: string): string | undefined {
  let zip: ZipReader | undefined;
  try {
    zip = new ZipReader(archive);
    const file = zip.files.find(({ name }) => /(?:^|\/)pom-4\.[0-9]\.[0-9]\.xml$/.test(name));
    const bytes = file && zip.whole(file, LARGEST);
    if (bytes === undefined) return undefined;
    return readSettings(bytes, archive, () => undefined).repositories.find(({ id }) => id === CENTRAL)?.url;
  } catch {
    // An archive of another form: then there is no default.
    return undefined;
  } finally {
    zip?.close();
  }
}

function isWeb(url: string): boolean {
  const protocol = URL.parse(url)?.protocol;
  return protocol === 'http:' || protocol === 'https:';
}
