import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EntrepotError, type Finding, type ScanSubject } from '@entrepot/core';
import {
  findingsOf,
  findTool,
  imageFindings,
  LARGEST_OUTPUT,
  softwareList,
  stampOf,
  subjectUrl,
  SYSTEM_TYPES,
  toolErrors,
  toolJson,
  type ImageJudgement,
  type ReportedPackage,
  type ScannerTool,
  type ToolContext,
  type ToolDatabase,
  type ToolOutput,
} from '@entrepot/core/tool';
import type { GrypeOptions } from './options.js';
import { readMatches, readPackages } from './report.js';
import { isCovered } from './systems.js';

/** Languages that Grype has advisories of. The packages of others it matches by guessed names, or not at all. */
const LANGUAGES: readonly string[] = ['cargo', 'composer', 'gem', 'golang', 'maven', 'npm', 'nuget', 'pypi'];
/** The model of the databases that are in use. */
const MODEL = '6';
/** The exit code of `db check` when there is a newer database. */
const UPDATE_AVAILABLE = 100;
/**
 * Grype's complaint about an old database. Core checks the age by its own clock, but some builds cannot be told to skip
 * their check.
 */
const TOO_OLD = 'ago (max allowed age';

const { failed, unavailable } = toolErrors('grype');

/** Runs Grype. */
export class GrypeTool implements ScannerTool {
  readonly id = 'grype';
  readonly ecosystems = [...LANGUAGES, ...SYSTEM_TYPES];
  readonly #options: GrypeOptions;
  #known: { readonly stamp: string; readonly database: ToolDatabase } | undefined;

  constructor(options: GrypeOptions) {
    this.#options = options;
  }

  /** `db status` reads the database as a whole, so it is asked once for each. */
  async database(context: ToolContext): Promise<ToolDatabase> {
    const file = join(context.database, MODEL, 'vulnerability.db');
    const found = await stampOf(file).catch(() => {
      throw unavailable(`expected a database in ${this.#options.directory}, found none`);
    });
    const stamp = `${(await findTool(this.#options.command)).stamp} ${found}`;
    if (this.#known?.stamp === stamp) return this.#known.database;
    const output = await this.#run(['db', 'status', '-o', 'json'], context);
    const { built, schemaVersion, valid } = toolJson(this.id, output) as Record<string, unknown>;
    const builtAt = Date.parse(String(built));
    if (valid === false || Number.isNaN(builtAt)) throw unavailable('expected a valid database, found none');
    const database = { revision: `${String(schemaVersion)}@${new Date(builtAt).toISOString()}`, builtAt };
    this.#known = { stamp, database };
    return database;
  }

  group(subjects: readonly ScanSubject[]): readonly (readonly ScanSubject[])[] {
    const covered = subjects.filter(isCovered);
    return covered.length === 0 ? [] : [covered];
  }

  async judge(
    subjects: readonly ScanSubject[],
    context: ToolContext,
  ): Promise<readonly (readonly Finding[] | undefined)[]> {
    const list = join(context.place.folder, 'packages.json');
    // Each package says by its URL of which distribution it is.
    await writeFile(list, softwareList(subjects));
    return findingsOf(this.id, subjects, await this.#scan(`sbom:${list}`, context), locator(subjects));
  }

  async judgeImage(layout: string, context: ToolContext): Promise<ImageJudgement> {
    const { found, packages, isKnown } = await this.#scan(`oci-dir:${layout}`, context);
    const findings = imageFindings(found);
    if (packages.every(({ url }) => url === undefined)) return { covered: 'none', findings };
    return { covered: isKnown ? 'full' : 'partial', findings };
  }

  async download(folder: string, context: ToolContext): Promise<boolean> {
    if (!this.#options.updates) return false;
    const { code, stderr } = await this.#run(['db', 'check'], context, { network: true });
    if (code === 0) return false;
    if (code !== UPDATE_AVAILABLE) throw exited('db check', code, stderr);
    const update = await this.#run(['db', 'update'], { ...context, database: folder }, { network: true });
    if (update.code !== 0) throw exited('db update', update.code, update.stderr);
    return true;
  }

  /** The list of packages proves what was looked at: the report names only those with findings. */
  async #scan(what: string, context: ToolContext) {
    const list = join(context.place.folder, 'listed.json');
    const output = await this.#run([what, '--quiet', '-o', 'json', '-o', `cyclonedx-json=${list}`], context);
    if (output.code !== 0 && output.stderr.includes(TOO_OLD)) {
      throw new EntrepotError('scan-unavailable', 'grype: the database is older than the program allows', {
        code: 'SCAN_STALE',
      });
    }
    return { ...readMatches(toolJson(this.id, output)), packages: readPackages(await this.#readList(list)) };
  }

  async #readList(path: string): Promise<object> {
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size === 0 || size > LARGEST_OUTPUT) throw failed(`expected a list of packages, found ${size} bytes`);
    return toolJson(this.id, { code: 0, stdout: await readFile(path, 'utf8'), stderr: '' });
  }

  #run(
    args: readonly string[],
    { place, database, signal }: ToolContext,
    { network = false }: { readonly network?: boolean } = {},
  ): Promise<ToolOutput> {
    const { command, databaseUrl } = this.#options;
    const env: Record<string, string> = {
      GRYPE_DB_CACHE_DIR: database,
      GRYPE_DB_AUTO_UPDATE: 'false',
      GRYPE_DB_VALIDATE_AGE: 'false',
      GRYPE_CHECK_FOR_APP_UPDATE: 'false',
    };
    if (network && databaseUrl !== undefined) env.GRYPE_DB_UPDATE_URL = databaseUrl;
    return place.run(command, args, { env, network, signal, largestOutput: LARGEST_OUTPUT });
  }
}

/** Finds the subjects that a package of a report is, by its URL, else by its name. */
function locator(subjects: readonly ScanSubject[]): (each: ReportedPackage) => readonly number[] {
  const places = new Map<string, number[]>();
  for (const [at, subject] of subjects.entries()) {
    const url = subjectUrl(subject);
    for (const key of new Set([url, plain(url)])) places.set(key, [...(places.get(key) ?? []), at]);
  }
  return ({ url }) => (url === undefined ? [] : (places.get(url) ?? places.get(plain(url)) ?? []));
}

/** A package URL without qualifiers and decoded: tools write both in their own ways. */
function plain(url: string): string {
  const bare = url.replace(/[?#].*$/s, '');
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

function exited(what: string, code: number, stderr: string): EntrepotError {
  return failed(`expected the exit code 0 from ${what}, found ${code}`, new Error(stderr.trim()));
}
