import { access, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withoutTrailingSlashes, type Finding, type ScanSubject } from '@entrepot/core';
import {
  componentReference,
  findingsOf,
  findTool,
  imageFindings,
  LARGEST_OUTPUT,
  softwareList,
  subjectUrl,
  SYSTEM_TYPES,
  toolErrors,
  toolJson,
  type ImageJudgement,
  type ScannerTool,
  type ToolContext,
  type ToolDatabase,
} from '@entrepot/core/tool';
import type { TrivyOptions } from './options.js';
import { readReport, type TrivyPackage, type TrivyReport } from './report.js';
import { systemOf, systemProperties } from './systems.js';

/** Languages that Trivy has advisories for. It also lists the packages of others, without findings. */
const LANGUAGES: readonly string[] = [
  'cargo',
  'cocoapods',
  'composer',
  'conan',
  'gem',
  'golang',
  'hex',
  'maven',
  'npm',
  'nuget',
  'pub',
  'pypi',
  'swift',
];

/** Required flags. Without them a subject could silence the scanner, or nothing would prove that it was scanned. */
const NEEDED = ['--config', '--ignorefile', '--list-all-pkgs', '--skip-db-update'];
/** Flags that only some builds have. */
const WHERE_KNOWN = [
  ['--scanners', 'vuln'],
  ['--skip-java-db-update'],
  ['--skip-version-check'],
  ['--disable-telemetry'],
  ['--skip-vex-repo-update'],
];
const LARGEST_ANSWER = 64 * 1024;
const { failed, unavailable } = toolErrors('trivy');

interface Metadata {
  readonly Version?: unknown;
  readonly UpdatedAt?: unknown;
  readonly NextUpdate?: unknown;
}

/** Runs Trivy, over a database in a folder or over a `trivy server`. */
export class TrivyTool implements ScannerTool {
  readonly id = 'trivy';
  readonly ecosystems = [...LANGUAGES, ...SYSTEM_TYPES];
  readonly #options: TrivyOptions;
  /** The flags of each command, by program. */
  readonly #flags = new Map<string, readonly string[]>();

  constructor(options: TrivyOptions) {
    this.#options = options;
  }

  async database(context: ToolContext): Promise<ToolDatabase> {
    await this.#flagsOf('sbom', context);
    if (this.#options.server !== undefined) return askServer(this.#options.server, context.signal);
    const metadata = await readMetadata(context.database);
    if (metadata === undefined) throw unavailable(`expected a database in ${this.#options.directory}, found none`);
    return databaseOf(metadata);
  }

  group(subjects: readonly ScanSubject[]): readonly (readonly ScanSubject[])[] {
    const isSystem = ({ coordinates }: ScanSubject): boolean => SYSTEM_TYPES.includes(coordinates.ecosystem);
    const judged = subjects.filter((subject) => !isSystem(subject) || systemOf(subject) !== undefined);
    // One list says of one distribution only that its packages are of it.
    const groups = Map.groupBy(judged, (subject) => {
      const system = isSystem(subject) ? systemOf(subject) : undefined;
      return system === undefined ? '' : `${system.name} ${system.version}`;
    });
    return [...groups.values()];
  }

  async judge(
    subjects: readonly ScanSubject[],
    context: ToolContext,
  ): Promise<readonly (readonly Finding[] | undefined)[]> {
    const list = join(context.place.folder, 'packages.json');
    const [first] = subjects;
    const distribution = first && SYSTEM_TYPES.includes(first.coordinates.ecosystem) ? systemOf(first) : undefined;
    await writeFile(list, softwareList(subjects, { distribution, propertiesOf: systemProperties }));
    return findingsOf(this.id, subjects, await this.#scan('sbom', [list], context), locator(subjects));
  }

  async judgeImage(layout: string, context: ToolContext): Promise<ImageJudgement> {
    const { packages, found, system } = await this.#scan('image', ['--input', layout], context);
    const findings = imageFindings(found);
    if (packages.length === 0) return { covered: 'none', findings };
    return { covered: system === undefined ? 'partial' : 'full', findings };
  }

  async download(folder: string, { place, database, now, signal }: ToolContext): Promise<boolean> {
    const { updates, server, databaseRepository, javaDatabaseRepository } = this.#options;
    if (!updates || server !== undefined) return false;
    const present = await readMetadata(database);
    if (present !== undefined && Date.parse(String(present.NextUpdate)) > now) return false;
    await this.#fetch(['--download-db-only', '--db-repository', databaseRepository], { folder, place, signal });
    if (javaDatabaseRepository !== undefined) {
      const what = ['--download-java-db-only', '--java-db-repository', javaDatabaseRepository] as const;
      await this.#fetch(what, { folder, place, signal });
    }
    const brought = await readMetadata(folder);
    if (brought === undefined) throw failed('expected a database from the download, found none');
    return present === undefined || databaseOf(brought).revision !== databaseOf(present).revision;
  }

  async #fetch(
    [what, flag, repository]: readonly [string, string, string | undefined],
    { folder, place, signal }: Pick<ToolContext, 'place' | 'signal'> & { readonly folder: string },
  ): Promise<void> {
    const { command, username, password, insecure } = this.#options;
    const args = ['--cache-dir', folder, 'image', what, '--quiet', '--no-progress'];
    if (repository !== undefined) args.push(flag, repository);
    if (insecure) args.push('--insecure');
    const env = username === undefined ? {} : { TRIVY_USERNAME: username, TRIVY_PASSWORD: password as string };
    const options = { env, network: true, signal, largestOutput: LARGEST_OUTPUT };
    const { code, stderr } = await place.run(command, args, options);
    if (code !== 0) throw failed(`expected the exit code 0 from a download, found ${code}`, new Error(stderr.trim()));
  }

  async #scan(command: 'sbom' | 'image', what: readonly string[], context: ToolContext): Promise<TrivyReport> {
    const { place, database, signal } = context;
    const { server, token } = this.#options;
    const flags = await this.#flagsOf(command, context);
    // The cache of a run is its own: builds without `--cache-backend memory` lock it, and would wait for each other.
    const cache = join(place.folder, 'cache');
    const [config, ignored] = [join(place.folder, 'config.yaml'), join(place.folder, 'ignored')];
    await mkdir(cache, { recursive: true, mode: 0o700 });
    await Promise.all([config, ignored].map((path) => writeFile(path, '')));
    if (server === undefined) {
      for (const name of ['db', 'java-db']) await symlink(join(database, name), join(cache, name)).catch(allowExisting);
    }
    const args = ['--cache-dir', cache, '--config', config, command, ...flags];
    args.push('--format', 'json', '--list-all-pkgs', '--offline-scan', '--quiet', '--skip-db-update');
    args.push('--ignorefile', ignored, ...(server === undefined ? [] : ['--server', server]), ...what);
    const env = token === undefined ? {} : { TRIVY_TOKEN: token };
    const output = await place.run(this.#options.command, args, { env, signal, largestOutput: LARGEST_OUTPUT });
    return readReport(toolJson(this.id, output));
  }

  /** The flags that this build has of those that not every one has. @throws when it has not those that it must */
  async #flagsOf(command: 'sbom' | 'image', { place, signal }: ToolContext): Promise<readonly string[]> {
    const key = `${command} ${(await findTool(this.#options.command)).stamp}`;
    const known = this.#flags.get(key);
    if (known !== undefined) return known;
    const { stdout } = await place.run(this.#options.command, [command, '--help'], {
      signal,
      largestOutput: LARGEST_OUTPUT,
    });
    const all = new Set(stdout.match(/--[a-z][a-z-]*/g) ?? []);
    const missing = NEEDED.find((flag) => !all.has(flag));
    if (missing !== undefined) throw unavailable(`expected a build of Trivy with ${missing}, found one without`);
    const flags = WHERE_KNOWN.filter(([flag]) => all.has(flag as string)).flat();
    this.#flags.set(key, flags);
    return flags;
  }
}

/** Finds the subjects that a package of a report is. Its `bom-ref` says so; builds that keep none are told by URL or by name. */
function locator(subjects: readonly ScanSubject[]): (each: TrivyPackage) => readonly number[] {
  const places = new Map<string, number[]>();
  const add = (key: string, at: number): void => {
    places.set(key, [...(places.get(key) ?? []), at]);
  };
  for (const [at, subject] of subjects.entries()) {
    add(`reference ${componentReference(at)}`, at);
    add(`url ${subjectUrl(subject)}`, at);
    add(`name ${subject.coordinates.name} ${subject.coordinates.version}`, at);
  }
  return ({ reference, url, name, version }) => {
    if (reference !== undefined) return places.get(`reference ${reference}`) ?? [];
    if (url !== undefined) return places.get(`url ${url}`) ?? [];
    return places.get(`name ${name} ${version}`) ?? [];
  };
}

/** The metadata of the database in the cache folder `folder`. Absent: there is none. */
async function readMetadata(folder: string): Promise<Metadata | undefined> {
  try {
    await access(join(folder, 'db', 'trivy.db'));
    return JSON.parse(await readFile(join(folder, 'db', 'metadata.json'), 'utf8')) as Metadata;
  } catch {
    return undefined;
  }
}

function databaseOf({ Version: version, UpdatedAt: updatedAt }: Metadata): ToolDatabase {
  const builtAt = Date.parse(String(updatedAt));
  if (Number.isNaN(builtAt)) throw unavailable('expected a database that says when it was made');
  return { revision: `${String(version)}@${new Date(builtAt).toISOString()}`, builtAt };
}

/** Asks a server for the version of its database. Old builds do not tell. */
async function askServer(server: string, signal: AbortSignal): Promise<ToolDatabase> {
  const ask = async (path: string): Promise<Response> => {
    const url = new URL(server);
    url.pathname = `${withoutTrailingSlashes(url.pathname)}/${path}`;
    try {
      return await fetch(url, { signal, redirect: 'error' });
    } catch (cause) {
      signal.throwIfAborted();
      throw unavailable('expected an answer of the server, found none', cause);
    }
  };
  const response = await ask('version');
  if (response.status === 404) {
    const { ok, status } = await ask('healthz');
    if (!ok) throw unavailable(`expected a healthy server, found the status ${status}`);
    return { revision: 'server' };
  }
  const text = await response.text();
  if (!response.ok || text.length > LARGEST_ANSWER) throw unavailable(`expected a version, found ${response.status}`);
  try {
    return databaseOf(((JSON.parse(text) as { VulnerabilityDB?: Metadata }).VulnerabilityDB ?? {}) as Metadata);
  } catch (cause) {
    throw unavailable('expected a server that says when its database was made', cause);
  }
}

function allowExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
