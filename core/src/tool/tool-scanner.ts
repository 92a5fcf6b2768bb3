import type { Clock } from '../api/clock.js';
import type { PackageCoordinates } from '../api/coordinates.js';
import { asEntrepotError, type EntrepotError, scanError } from '../api/errors.js';
import { isRecord } from '../formats/json-values.js';
import { printDuration } from '../formats/quantities.js';
import type { Finding, Scanner, ScanReport, ScanSubject } from '../api/scanner.js';
import { Batches } from './batches.js';
import { DatabaseFolder } from './database-folder.js';
import { writeImageLayout } from './image-layout.js';
import { mergeFindings } from './merge-findings.js';
import { ToolFailure, type ToolOutput } from './run-tool.js';
import { subjectUrl } from './software-list.js';
import { toolErrors } from './tool-errors.js';
import { withToolPlace, type ToolPlace } from './tool-place.js';

/** The most that a tool may print, in bytes: 500 packages with everything that is known of them are a few MB. */
export const LARGEST_OUTPUT = 50_000_000;
const BATCH = 500;
const GATHER = 250;
const IMAGES = 'oci';

/** The database that a tool uses. */
export interface ToolDatabase {
  /** Names its content, the same on every machine. */
  readonly revision: string;
  /** Milliseconds since the epoch; absent: it is not known. */
  readonly builtAt?: number | undefined;
}

/** One run of a tool, for the methods of a `ScannerTool`. */
export interface ToolContext {
  readonly place: ToolPlace;
  /** The folder of the database. Not to be changed. */
  readonly database: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** A tool's result on an image. `covered` is `none` when the tool recognised nothing that it can judge. */
export interface ImageJudgement {
  readonly covered: 'full' | 'partial' | 'none';
  readonly findings: readonly Finding[];
}

/** An external program that scans, as `createToolScanner` needs it. */
export interface ScannerTool {
  /** Names the scanner in reports. */
  readonly id: string;
  /**
   * Package URL types whose packages it judges by name and version. Leave out types that it lists but has no advisories
   * for.
   */
  readonly ecosystems: readonly string[];
  /**
   * Reads the version of the database.
   * @throws when there is none, or none that the tool can use
   */
  database(context: ToolContext): Promise<ToolDatabase>;
  /**
   * Splits `subjects` into groups that can be judged together, without those that it cannot judge. Default: one group.
   */
  group?(subjects: readonly ScanSubject[]): readonly (readonly ScanSubject[])[];
  /** The findings for each of `subjects`, in order; `undefined` for one that it did not examine. */
  judge(subjects: readonly ScanSubject[], context: ToolContext): Promise<readonly (readonly Finding[] | undefined)[]>;
  /** Judges the image in `layout`, a folder with an OCI image layout. */
  judgeImage(layout: string, context: ToolContext): Promise<ImageJudgement>;
  /**
   * Downloads a newer database into the empty `folder`. @returns whether there was one. Absent: others keep the database.
   */
  download?(folder: string, context: ToolContext): Promise<boolean>;
}

/** Settings of a tool. Times are milliseconds. */
export interface ToolScannerOptions {
  readonly clock: Clock;
  /** The folder of its database. */
  readonly directory: string;
  /** The greatest age of the database. */
  readonly maxAge: number;
  /** The longest time of one run. */
  readonly timeout: number;
  /** The longest time of a download. */
  readonly updateTimeout: number;
  /** Which image of an index is judged: `linux/amd64`. */
  readonly platform: string;
  /** The largest image, in bytes. */
  readonly maxImageSize: number;
  /** The time for which single subjects are gathered. Default: 250. */
  readonly gather?: number | undefined;
}

/**
 * The scanner that a tool is: gathers subjects, because its start is what costs; keeps its word apart from its failures; knows how
 * old its database is. Asks for the database first, so that what is wrong with it shows at once and not with the first subject.
 */
export async function createToolScanner(tool: ScannerTool, options: ToolScannerOptions): Promise<Scanner> {
  const scanner = new ToolScanner(tool, options);
  // A scanner without a database cannot say anything yet, but `update` may bring one.
  await scanner.check().catch(() => {});
  return scanner;
}

/** A run on subjects, with the revision of its database. */
type JudgingContext = ToolContext & Pick<ToolDatabase, 'revision'>;

class ToolScanner implements Scanner {
  readonly subjects: { readonly ecosystems: readonly string[]; readonly withContent: readonly string[] };
  readonly needs = 'coordinates';
  readonly #tool: ScannerTool;
  readonly #options: ToolScannerOptions;
  readonly #folder: DatabaseFolder;
  readonly #packages: Batches<ScanSubject, ScanReport>;
  readonly #images: Batches<ScanSubject, ScanReport>;
  readonly #disposed = new AbortController();
  #database: ToolDatabase | undefined;

  constructor(tool: ScannerTool, options: ToolScannerOptions) {
    this.subjects = { ecosystems: [...tool.ecosystems, IMAGES], withContent: [IMAGES] };
    this.#tool = tool;
    this.#options = options;
    this.#folder = new DatabaseFolder(options.directory);
    const { timeout, gather = GATHER } = options;
    this.#packages = new Batches({
      size: BATCH,
      gather,
      timeout,
      run: (subjects, signal) => this.#run(signal, (context) => this.#judge(subjects, context)),
    });
    this.#images = new Batches({
      size: 1,
      gather: 0,
      timeout,
      run: ([subject], signal) => this.#run(signal, (context) => this.#judgeImage(subject as ScanSubject, context)),
    });
  }

  async scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport> {
    const name = subjectUrl(subject);
    const { ecosystem, version } = subject.coordinates;
    if (!this.subjects.ecosystems.includes(ecosystem)) {
      throw unsupported(name, `expected one of ${this.subjects.ecosystems.join(', ')}`);
    }
    const [queue, missing] =
      ecosystem === IMAGES
        ? ([this.#images, subject.content === undefined && 'the content'] as const)
        : ([this.#packages, version === undefined && 'a version'] as const);
    if (missing !== false) throw unsupported(name, `expected ${missing}`);
    try {
      return await queue.add(subject, AbortSignal.any([signal, this.#disposed.signal]));
    } catch (error) {
      if (!signal.aborted) throw asFailure(this.#tool.id, error);
      throw scanError('SCAN_INTERRUPTED', `${name}: the scan was interrupted`, error);
    }
  }

  scanAll(subjects: readonly ScanSubject[], signal: AbortSignal): Promise<readonly (ScanReport | Error)[]> {
    return Promise.all(subjects.map((subject) => this.scan(subject, signal).catch((error: Error) => error)));
  }

  revision(): string {
    return this.#database?.revision ?? 'none';
  }

  databaseDate(): number | undefined {
    return this.#database?.builtAt;
  }

  async check(): Promise<void> {
    const limited = AbortSignal.any([this.#disposed.signal, AbortSignal.timeout(this.#options.timeout)]);
    await this.#run(limited, async () => {});
  }

  async update(signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined> {
    const before = this.revision();
    const limited = AbortSignal.any([signal, this.#disposed.signal, AbortSignal.timeout(this.#options.updateTimeout)]);
    await this.#inPlace(async (place) => {
      const { download } = this.#tool;
      const context = await this.#contextOf(place, limited);
      if (download !== undefined) await this.#folder.replace((folder) => download.call(this.#tool, folder, context));
      await this.#refresh(await this.#contextOf(place, limited));
    });
    return this.revision() === before ? [] : undefined;
  }

  async dispose(): Promise<void> {
    this.#disposed.abort(new Error('the scanner is no longer in use'));
  }

  /** Gives `use` a place and the database, once that is known to be fit. */
  #run<Result>(signal: AbortSignal, use: (context: JudgingContext) => Promise<Result>): Promise<Result> {
    const { clock, maxAge } = this.#options;
    return this.#inPlace(async (place) => {
      const context = await this.#contextOf(place, signal);
      const { revision, builtAt } = await this.#refresh(context);
      if (builtAt !== undefined && clock.now() - builtAt > maxAge) {
        const expected = `expected a database of the last ${printDuration(maxAge)}`;
        const found = new Date(builtAt).toISOString();
        throw scanError('SCAN_STALE', `${this.#tool.id}: ${expected}, found one of ${found}`);
      }
      return await use({ ...context, revision });
    });
  }

  async #inPlace<Result>(use: (place: ToolPlace) => Promise<Result>): Promise<Result> {
    try {
      return await withToolPlace(use);
    } catch (error) {
      throw asFailure(this.#tool.id, error);
    }
  }

  async #contextOf(place: ToolPlace, signal: AbortSignal): Promise<ToolContext> {
    return { place, database: await this.#folder.current(), now: this.#options.clock.now(), signal };
  }

  /**
   * Reads the version of the database. On error the last known one stays in memory: its revision is part of cache keys
   * elsewhere.
   */
  async #refresh(context: ToolContext): Promise<ToolDatabase> {
    const database = await this.#tool.database(context);
    this.#database = database;
    return database;
  }

  async #judge(subjects: readonly ScanSubject[], context: JudgingContext): Promise<readonly (ScanReport | Error)[]> {
    const names = subjects.map(subjectUrl);
    const apart = [...new Map(subjects.map((subject, at) => [names[at], subject])).values()];
    const results = new Map<string, ScanReport | Error>();
    for (const group of this.#tool.group?.(apart) ?? [apart]) {
      for (const [at, found] of (await this.#judgeApart(group, context)).entries()) {
        const name = subjectUrl(group[at] as ScanSubject);
        if (found instanceof Error) results.set(name, found);
        else if (found !== undefined) results.set(name, this.#report(context, found, 'full'));
      }
    }
    return names.map((name) => results.get(name) ?? unsupported(name, `${this.#tool.id} has not looked at it`));
  }

  /**
   * Judges `subjects` apart from those that make the tool fail: when a group fails, each half is tried, and so on in
   * the half that failed. When both halves fail, the cause is not a single subject, and the search ends.
   */
  async #judgeApart(
    subjects: readonly ScanSubject[],
    context: ToolContext,
    known?: EntrepotError,
  ): Promise<readonly (readonly Finding[] | Error | undefined)[]> {
    const whole = known ?? (await this.#tryJudge(subjects, context));
    if (!(whole instanceof Error)) return whole;
    if (subjects.length === 1) return [whole];
    const middle = Math.ceil(subjects.length / 2);
    const [left, right] = [subjects.slice(0, middle), subjects.slice(middle)];
    const first = await this.#tryJudge(left, context);
    const second = await this.#tryJudge(right, context);
    if (first instanceof Error && second instanceof Error) return subjects.map(() => whole);
    return [
      ...(first instanceof Error ? await this.#judgeApart(left, context, first) : first),
      ...(second instanceof Error ? await this.#judgeApart(right, context, second) : second),
    ];
  }

  async #tryJudge(
    subjects: readonly ScanSubject[],
    context: ToolContext,
  ): Promise<readonly (readonly Finding[] | undefined)[] | EntrepotError> {
    try {
      return await this.#tool.judge(subjects, context);
    } catch (error) {
      context.signal.throwIfAborted();
      return asFailure(this.#tool.id, error);
    }
  }

  async #judgeImage(subject: ScanSubject, context: JudgingContext): Promise<readonly ScanReport[]> {
    const { platform, maxImageSize: largest } = this.#options;
    const { folder } = context.place;
    const whole = await writeImageLayout(folder, subject, { signal: context.signal, platform, largest });
    const { covered, findings } = await this.#tool.judgeImage(folder, context);
    if (covered === 'none') throw unsupported(subjectUrl(subject), `${this.#tool.id} has recognised nothing in it`);
    return [this.#report(context, findings, whole ? covered : 'partial')];
  }

  #report({ revision }: JudgingContext, findings: readonly Finding[], coverage: 'full' | 'partial'): ScanReport {
    const scannedAt = this.#options.clock.now();
    return { scanner: this.#tool.id, revision, scannedAt, coverage, findings: mergeFindings(findings) };
  }
}

function unsupported(name: string, reason: string): EntrepotError {
  return scanError('SCAN_UNSUPPORTED', `${name}: ${reason}`);
}

function asFailure(id: string, error: unknown): EntrepotError {
  if (error instanceof ToolFailure) {
    const { failed, unavailable } = toolErrors(id);
    return (error.reason === 'missing' ? unavailable : failed)(error.message, error);
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return scanError('SCAN_TIMEOUT', `${id}: ${error.message}`, error);
  }
  return asEntrepotError(error, 'scan-unavailable', `${id}: the scan failed`);
}

/**
 * Parses the output of a run as JSON.
 * @throws EntrepotError `scan-unavailable` with the code `SCAN_FAILED` when the run failed or its output is not JSON
 */
export function toolJson(id: string, { code, stdout, stderr }: ToolOutput): object {
  // The complaints are for the log: they may name files of this machine.
  const cause = new Error(stderr.trim() || 'it said nothing');
  const { failed } = toolErrors(id);
  if (code !== 0) throw failed(`expected the exit code 0, found ${code}`, cause);
  try {
    const value: unknown = JSON.parse(stdout);
    if (isRecord(value)) return value;
  } catch {
    // Said below.
  }
  throw failed('expected a report as JSON, found something else', cause);
}
