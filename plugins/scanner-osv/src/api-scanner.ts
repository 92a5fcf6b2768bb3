import {
  asEntrepotError,
  type Clock,
  EntrepotError,
  type Finding,
  messageOf,
  packageUrl,
  type PackageCoordinates,
  scanError,
  type Scanner,
  type ScanReport,
  type ScanSubject,
} from '@entrepot/core';
import { type Fields, forEachLimited, isRecord, Lru } from '@entrepot/core/formats';
import { type Enrichment, findingOf, groupOf, mergeGroups, packRecord, sortFixes } from './advisories.js';
import { AliasGroups } from './alias-groups.js';
import { type Downloads, urlBelow } from './download.js';
import { normalName, normalVersion, traitsOf, registryTypes } from './ecosystems.js';
import type { ExploitLists } from './exploit-lists.js';
import { type OsvRecord, readRecord } from './osv-record.js';
import { Candidate, compileRange, evaluateRange } from './ranges.js';
import { reportOf, throwIfAborted, unsupported } from './scan-report.js';

/** So many queries the API takes at once. */
const MOST_QUERIES = 1000;
/** A query that has more pages is given up: its answers lead in a circle. */
const MOST_PAGES = 1000;
/** Records that are fetched at a time, and that are kept. */
const FETCHES = 8;
const MOST_RECORDS = 10_000;
const DAY = 86_400_000;
/** A package that every ecosystem's database can be asked for. */
const PROBE = { package: { purl: 'pkg:npm/left-pad' }, version: '1.0.0' };

/** A record as a batch names it. */
interface NamedRecord {
  readonly id: string;
  readonly modified: string;
}

interface Query {
  readonly package: { readonly purl: string };
  readonly version?: string | undefined;
  readonly page_token?: string | undefined;
}

/** Judges by an OSV API. It has no `lookup`: a question takes a request. */
export class ApiScanner implements Scanner {
  readonly needs = 'coordinates';
  readonly subjects = { ecosystems: registryTypes() };
  readonly #base: URL;
  readonly #downloads: Downloads;
  readonly #clock: Clock;
  readonly #lists: ExploitLists;
  /** By id and time, the least recently used first. */
  readonly #records = new Lru<OsvRecord>(MOST_RECORDS);
  #day: string;

  /** @param base the URL to which `/v1/…` is added */
  constructor(base: URL, downloads: Downloads, clock: Clock, lists: ExploitLists) {
    this.#base = base;
    this.#downloads = downloads;
    this.#clock = clock;
    this.#lists = lists;
    this.#day = this.#today();
  }

  /** The API does not say when its database changes: what was asked yesterday is asked again. */
  revision(): string {
    return `${this.#day}${this.#lists.revision()}`;
  }

  async update(signal: AbortSignal): Promise<readonly PackageCoordinates[] | undefined> {
    const isListed = await this.#lists.update(signal);
    const today = this.#today();
    if (today === this.#day && !isListed) return [];
    this.#day = today;
    return undefined;
  }

  async check(): Promise<void> {
    await this.#ask(['v1', 'query'], new AbortController().signal, PROBE);
  }

  async scan(subject: ScanSubject, signal: AbortSignal): Promise<ScanReport> {
    const [report] = await this.scanAll([subject], signal);
    if (report === undefined || report instanceof Error) throw report as Error;
    return report;
  }

  async scanAll(subjects: readonly ScanSubject[], signal: AbortSignal): Promise<readonly (ScanReport | Error)[]> {
    throwIfAborted(signal);
    const all = subjects.map(({ coordinates }) => coordinates);
    const known = all.filter(({ ecosystem }) => this.subjects.ecosystems.includes(ecosystem));
    const reports = new Map<PackageCoordinates, ScanReport | Error>();
    for (let start = 0; start < known.length; start += MOST_QUERIES) {
      const batch = known.slice(start, start + MOST_QUERIES);
      const found = await this.#scanBatch(batch, signal);
      for (const [index, coordinates] of batch.entries()) reports.set(coordinates, found[index] as ScanReport | Error);
    }
    return all.map((each) => reports.get(each) ?? unsupported(each, 'its ecosystem is not known'));
  }

  /** Scans a batch. A refused batch is split in halves, so that one bad subject does not fail the others. */
  async #scanBatch(batch: readonly PackageCoordinates[], signal: AbortSignal): Promise<(ScanReport | Error)[]> {
    try {
      const named = await this.#query(batch, signal);
      const records = await this.#fetch(named.flat(), signal);
      return batch.map((coordinates, index) => {
        const all = (named[index] as NamedRecord[]).flatMap((each) => records.get(keyOf(each)) ?? []);
        const current = all.filter(({ withdrawn }) => !withdrawn);
        return reportOf(findingsOf(coordinates, current, this.#lists), false, this.revision(), this.#clock.now());
      });
    } catch (error) {
      if (batch.length > 1 && error instanceof EntrepotError && error.code === BAD_QUERY) {
        const middle = batch.length >> 1;
        const first = await this.#scanBatch(batch.slice(0, middle), signal);
        return [...first, ...(await this.#scanBatch(batch.slice(middle), signal))];
      }
      throwIfAborted(signal);
      const failure = asEntrepotError(error, 'scan-unavailable', `the OSV API: ${messageOf(error)}`);
      return batch.map(() => failure);
    }
  }

  /** The records of each of `batch`, over as many pages as there are: a page may hold nothing but the token of the next. */
  async #query(batch: readonly PackageCoordinates[], signal: AbortSignal): Promise<NamedRecord[][]> {
    const found: NamedRecord[][] = batch.map(() => []);
    let open = batch.map((coordinates, index) => ({ index, query: queryOf(coordinates) }));
    for (let page = 0; open.length > 0; page += 1) {
      if (page >= MOST_PAGES) throw unreadable('an end of its pages');
      const reply = await this.#ask(['v1', 'querybatch'], signal, { queries: open.map(({ query }) => query) });
      const results = listIn(reply, 'results');
      if (results.length !== open.length) throw unreadable(`${open.length} results`);
      const next: typeof open = [];
      for (const [position, { index, query }] of open.entries()) {
        const result = objectOf(results[position]);
        for (const named of listIn(result, 'vulns', [])) (found[index] as NamedRecord[]).push(readName(named));
        const token = result['next_page_token'];
        if (typeof token === 'string' && token !== '') next.push({ index, query: { ...query, page_token: token } });
      }
      open = next;
    }
    return found;
  }

  /** The records that a batch needs, by their keys. */
  async #fetch(named: readonly NamedRecord[], signal: AbortSignal): Promise<ReadonlyMap<string, OsvRecord>> {
    const records = new Map<string, OsvRecord>();
    const wanted = new Map(named.map((each) => [keyOf(each), each]));
    await forEachLimited([...wanted], FETCHES, async ([key, { id }]) => {
      const record = this.#records.get(key) ?? readRecord(await this.#ask(['v1', 'vulns', id], signal));
      if (record === undefined) throw unreadable(`the record ${id}`);
      records.set(key, record);
      this.#records.set(key, record);
    });
    return records;
  }

  /** The JSON of a reply. @throws EntrepotError */
  async #ask(path: readonly string[], signal: AbortSignal, question?: unknown): Promise<Fields> {
    let reply;
    try {
      reply = await this.#downloads.json(urlBelow(this.#base, ...path), signal, question);
    } catch (error) {
      throwIfAborted(signal);
      // An outage of the API is an inability of the scanner.
      throw scanError('SCAN_UNAVAILABLE', `the OSV API: ${messageOf(error)}`, error);
    }
    const { status, value, retryAfter } = reply;
    if (status === 200 && value !== undefined) return objectOf(value);
    const message = `the OSV API: expected JSON with status 200 for /${path.join('/')}, found ${status}`;
    throw new EntrepotError('scan-unavailable', message, {
      code: status === 400 ? BAD_QUERY : 'SCAN_UNAVAILABLE',
      retryAfter: retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined,
    });
  }

  #today(): string {
    return `api ${new Date(Math.floor(this.#clock.now() / DAY) * DAY).toISOString().slice(0, 10)}`;
  }
}

const BAD_QUERY = 'SCAN_REFUSED';

function keyOf({ id, modified }: NamedRecord): string {
  return `${id} ${modified}`;
}

/** The version stands beside the package URL: in both places it would be refused. */
function queryOf({ ecosystem, name, version }: PackageCoordinates): Query {
  const purl = packageUrl({ ecosystem, name: ecosystem === 'maven' ? name.replace(':', '/') : name });
  return { package: { purl }, version };
}

/** One finding a group of aliases, among the records that the API named. */
function findingsOf(
  coordinates: PackageCoordinates,
  records: readonly OsvRecord[],
  enrichment: Enrichment,
): readonly Finding[] {
  const aliases = new AliasGroups();
  for (const record of records) {
    aliases.add(record.id);
    for (const alias of record.aliases) aliases.join(record.id, alias);
  }
  const groups = Map.groupBy(records, ({ id }) => aliases.root(aliases.add(id)));
  const ids = aliases.groups();
  return Array.from(groups, ([root, members]) => {
    const own = new Map(members.map((record) => [record.id, groupOf(record)]));
    const group = mergeGroups(ids.get(root) ?? [...own.keys()], (id) => own.get(id));
    return findingOf(group, members.map(packRecord), fixesOf(coordinates, members), enrichment);
  });
}

/** Finds the versions that fix `coordinates`, by the ranges of `records` that affect it. */
function fixesOf({ ecosystem: type, name, version }: PackageCoordinates, records: readonly OsvRecord[]): string[] {
  if (version === undefined) return [];
  const fixes: string[] = [];
  let order = '';
  for (const { ecosystem, name: affectedName, ranges } of records.flatMap(({ affected }) => affected)) {
    const [affected, wanted] = [affectedName, name].map((each) => normalName(ecosystem, each).replace(':', '/'));
    if (traitsOf(ecosystem)?.type !== type || affected !== wanted) continue;
    order = ecosystem;
    const candidate = new Candidate(normalVersion(ecosystem, version));
    fixes.push(...ranges.flatMap((range) => evaluateRange(compileRange(ecosystem, range), candidate)?.fixedIn ?? []));
  }
  return sortFixes(order, fixes);
}

function readName(value: unknown): NamedRecord {
  const { id, modified } = objectOf(value);
  if (typeof id !== 'string') throw unreadable('ids of records');
  return { id, modified: typeof modified === 'string' ? modified : '' };
}

function objectOf(value: unknown): Fields {
  if (isRecord(value)) return value;
  throw unreadable('a JSON object');
}

function listIn(from: Fields, name: string, absent?: readonly unknown[]): readonly unknown[] {
  const value = from[name] ?? absent;
  if (Array.isArray(value)) return value as readonly unknown[];
  throw unreadable(`a list "${name}"`);
}

function unreadable(expected: string): EntrepotError {
  return scanError('SCAN_FAILED', `the OSV API: expected ${expected}, found none`);
}
