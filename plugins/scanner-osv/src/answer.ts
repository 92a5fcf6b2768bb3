import { type ScannerAnswer, type ScannerQuestion } from '@entrepot/core';
import { type Fields, isRecord, parseBoundedJson, WorkTurns } from '@entrepot/core/formats';
import type { AdvisoryGroup, CompiledAffected } from './advisories.js';
import type { Database } from './database.js';
import type { OsvPackage } from './ecosystems.js';
import { parsePackageUrl } from './package-url.js';
import type { Interval } from './ranges.js';

const NPM_BULK = '/-/npm/v1/security/advisories/bulk';
const OSV_VULNERABILITY = '/v1/vulns/';
/** So many queries in one batch, records in one page, and records in all pages of a batch: as the public API has it. */
const MOST_QUERIES = 1000;
const PAGE = 1000;
const MOST_IN_BATCH = 3000;
/** A page of whole records ends when it has so many characters. */
const PAGE_LENGTH = 4 * 1024 * 1024;
/** So many versions in one audit: the lockfile of a large project names ten thousand. */
const MOST_VERSIONS = 20_000;

/** A bad question, with the status and code that the public API gives it (gRPC codes in JSON). */
class BadQuestion extends Error {}

/**
 * Answers the bulk audit of npm, and the part of the OSV API (`/v1/query`, `/v1/querybatch`, `/v1/vulns/<id>`) that is about
 * packages. `undefined`: another path.
 * @param database the one in use, asked for after each turn: a newer one may have taken its place
 */
export async function answer(
  { method, path, body }: ScannerQuestion,
  database: () => Database,
): Promise<ScannerAnswer | undefined> {
  try {
    if (method === 'POST' && path === NPM_BULK) return await auditReply(parseBody(body), database);
    if (method === 'POST' && path === '/v1/query') return await query(parseBody(body), database);
    if (method === 'POST' && path === '/v1/querybatch') return await queryBatch(parseBody(body), database);
    if (method === 'GET' && path.startsWith(OSV_VULNERABILITY)) {
      const record = database().recordText(path.slice(OSV_VULNERABILITY.length));
      return record === undefined ? problem(404, 5, 'Bug not found.') : json(200, record);
    }
    return undefined;
  } catch (error) {
    if (error instanceof BadQuestion) return problem(400, 3, error.message);
    throw error;
  }
}

function json(status: number, body: string): ScannerAnswer {
  return { status, mediaType: 'application/json', body };
}

function problem(status: number, code: number, message: string): ScannerAnswer {
  return json(status, JSON.stringify({ code, message }));
}

function parseBody(body: Uint8Array | undefined): Fields {
  let value: unknown;
  try {
    value = parseBoundedJson(body ?? Buffer.alloc(0));
  } catch {
    throw new BadQuestion('expected JSON of reasonable size as the body');
  }
  if (!isRecord(value)) throw new BadQuestion('expected a JSON object as the body');
  return value;
}

/** A query for what is known of a package, from the record at `start` on. */
interface Query extends OsvPackage {
  readonly version: string | undefined;
  readonly start: number;
}

function readQuery(asked: unknown, database: Database): Query {
  if (!isRecord(asked)) throw new BadQuestion('Invalid query.');
  const { package: pack, version, commit, page_token: token } = asked;
  const start = token === undefined || token === '' ? 0 : Number(token);
  if (!Number.isSafeInteger(start) || start < 0) throw new BadQuestion('Invalid page token.');
  if (commit !== undefined) throw new BadQuestion('Commits are not known here: ask for a package.');
  if (!isRecord(pack) || (version !== undefined && typeof version !== 'string')) {
    throw new BadQuestion('Invalid query.');
  }
  const { purl, ecosystem, name } = pack;
  if (purl === undefined) {
    if (typeof ecosystem !== 'string' || typeof name !== 'string') throw new BadQuestion('Invalid query.');
    if (!database.covers(ecosystem)) throw new BadQuestion('Invalid ecosystem.');
    return { ecosystem, name, version: version === '' ? undefined : version, start };
  }
  if (name !== undefined || ecosystem !== undefined) {
    throw new BadQuestion('name and ecosystem specified in a purl query');
  }
  const parsed = typeof purl === 'string' ? parsePackageUrl(purl) : undefined;
  if (parsed === undefined) throw new BadQuestion('Invalid purl.');
  if (parsed.version !== undefined && version !== undefined) {
    throw new BadQuestion('version specified in params and purl query');
  }
  const found = database.packageOf(parsed);
  if (found === undefined) throw new BadQuestion('Invalid ecosystem.');
  return { ...found, version: parsed.version ?? version, start };
}

/** The ids of all records that a query is about. What cannot be compared is named: the reader of a list can look, who gets none cannot. */
function idsOf(asked: Query, database: Database): readonly string[] {
  return [...new Set(database.matches(asked, asked.version).map(({ record }) => record.id))];
}

async function query(asked: Fields, database: () => Database): Promise<ScannerAnswer> {
  const turns = new WorkTurns();
  const wanted = readQuery(asked, database());
  const ids = idsOf(wanted, database());
  // Records are passed on as they came.
  const records: string[] = [];
  let length = 0;
  let at = wanted.start;
  for (; at < ids.length && at < wanted.start + PAGE && length < PAGE_LENGTH; at += 1) {
    await turns.pause();
    const record = database().recordText(ids[at] as string);
    if (record === undefined) continue;
    records.push(record);
    length += record.length;
  }
  const page = at < ids.length ? `"next_page_token":"${at}"` : '';
  const found = records.length === 0 ? '' : `"vulns":[${records.join(',')}]`;
  return json(200, `{${[found, page].filter((part) => part !== '').join(',')}}`);
}

async function queryBatch({ queries }: Fields, database: () => Database): Promise<ScannerAnswer> {
  if (!Array.isArray(queries)) throw new BadQuestion('expected a list "queries"');
  if (queries.length > MOST_QUERIES) throw new BadQuestion('Too many queries.');
  const turns = new WorkTurns();
  const modified = new Map<string, string | undefined>();
  const known = new Map<string, readonly string[]>();
  const results: object[] = [];
  let room = MOST_IN_BATCH;
  for (const asked of queries as readonly unknown[]) {
    await turns.pause();
    const wanted = readQuery(asked, database());
    const subject = JSON.stringify([wanted.ecosystem, wanted.name, wanted.version]);
    const all = known.get(subject) ?? idsOf(wanted, database());
    known.set(subject, all);
    const end = Math.min(all.length, wanted.start + Math.min(PAGE, room));
    const vulns: object[] = [];
    for (const id of all.slice(wanted.start, end)) {
      await turns.pause();
      if (!modified.has(id)) modified.set(id, database().record(id)?.modified);
      vulns.push({ id, modified: modified.get(id) });
    }
    room -= vulns.length;
    results.push({
      vulns: vulns.length === 0 ? undefined : vulns,
      next_page_token: end < all.length ? String(end) : undefined,
    });
  }
  return json(200, JSON.stringify({ results }));
}

async function auditReply(asked: Fields, database: () => Database): Promise<ScannerAnswer> {
  database();
  const turns = new WorkTurns();
  const reply: string[] = [];
  let versionsLeft = MOST_VERSIONS;
  for (const [name, versions] of Object.entries(asked)) {
    if (!Array.isArray(versions)) throw new BadQuestion('expected a list of versions for every name');
    const subject = { ecosystem: 'npm', name };
    const hit = new Set<number>();
    for (const version of new Set<unknown>(versions)) {
      await turns.pause();
      if (typeof version !== 'string') continue;
      if ((versionsLeft -= 1) < 0) throw new BadQuestion(`expected ${MOST_VERSIONS} versions at most`);
      for (const { record } of database().matches(subject, version)) hit.add(record.group);
    }
    const found = hit.size === 0 ? undefined : database().package(subject);
    if (found === undefined) continue;
    const advisories: string[] = [];
    for (const group of hit) {
      await turns.pause();
      const affected = found.affected.filter((each) => each.group === group);
      advisories.push(JSON.stringify(npmAdvisory(found.groups[group] as AdvisoryGroup, affected, database())));
    }
    reply.push(`${JSON.stringify(name)}:[${advisories.join(',')}]`);
  }
  return json(200, `{${reply.join(',')}}`);
}

/** npm's levels. An unknown severity must be visible, and malicious content is worse than anything. */
const NPM_LEVELS = {
  unknown: 'moderate',
  none: 'info',
  low: 'low',
  medium: 'moderate',
  high: 'high',
  critical: 'critical',
};

/** An advisory as npm's bulk route gives it. */
function npmAdvisory(group: AdvisoryGroup, affected: readonly CompiledAffected[], database: Database): object {
  const named = affected.find(({ id }) => id.startsWith('GHSA-')) ?? (affected[0] as CompiledAffected);
  const record = database.record(named.id);
  const vector = record?.severity.find(({ type }) => type === 'CVSS_V3')?.score ?? null;
  return {
    id: numberOf(named.id),
    url: named.url ?? `urn:osv:${named.id}`,
    title: named.title ?? named.id,
    severity: group.malicious === true ? 'critical' : NPM_LEVELS[group.severity],
    vulnerable_versions: rangeText(affected),
    cwe: record?.cwes ?? [],
    cvss: { score: group.cvss ?? 0, vectorString: vector },
  };
}

/** Clients want a number. The same for the same id: FNV-1a in 31 bits. */
function numberOf(id: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < id.length; index += 1) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01_00_01_93);
  return hash >>> 1;
}

/** The ranges and versions of records as one range of npm. */
function rangeText(affected: readonly CompiledAffected[]): string {
  const parts = new Set<string>();
  for (const { ranges, versions } of affected) {
    for (const { intervals } of ranges) for (const part of intervalTexts(intervals)) parts.add(part);
    for (const version of versions) parts.add(version);
  }
  return parts.has('*') || parts.size === 0 ? '*' : [...parts].join(' || ');
}

function* intervalTexts(intervals: readonly Interval[]): Generator<string> {
  for (const { fromText, toText, includesEnd } of intervals) {
    const parts = [fromText === undefined ? '' : `>=${fromText}`];
    if (toText !== undefined) parts.push(`${includesEnd ? '<=' : '<'}${toText}`);
    yield parts.filter((part) => part !== '').join(' ') || '*';
  }
}
