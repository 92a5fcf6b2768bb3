import type { ScannerAnswer, ScannerQuestion } from '@entrepot/core';
import type { AdvisoryGroup, CompiledAffected } from './advisories.js';
import type { Database } from './database.js';
import { readRecord } from './osv-record.js';
import { parsePackageUrl } from './package-url.js';
import type { Interval } from './ranges.js';

const NPM_BULK = '/-/npm/v1/security/advisories/bulk';
const OSV_VULNERABILITY = '/v1/vulns/';
/** So many queries in one batch, and records in one page: as the public API has it. */
const MOST_QUERIES = 1000;
const PAGE = 1000;

/** A bad question, with the status and code that the public API gives it (gRPC codes in JSON). */
class BadQuestion extends Error {}

/**
 * Answers the bulk audit of npm, and the part of the OSV API (`/v1/query`, `/v1/querybatch`, `/v1/vulns/<id>`) that is about
 * packages. `undefined`: another path.
 */
export function answer({ method, path, body }: ScannerQuestion, database: () => Database): ScannerAnswer | undefined {
  try {
    if (method === 'POST' && path === NPM_BULK) return json(200, auditReply(parseBody(body), database()));
    if (method === 'POST' && path === '/v1/query') return query(parseBody(body), database());
    if (method === 'POST' && path === '/v1/querybatch') return queryBatch(parseBody(body), database());
    if (method === 'GET' && path.startsWith(OSV_VULNERABILITY)) {
      const record = database().record(path.slice(OSV_VULNERABILITY.length));
      return record === undefined ? problem(404, 5, 'Bug not found.') : { ...JSON_ANSWER, status: 200, body: record };
    }
    return undefined;
  } catch (error) {
    if (error instanceof BadQuestion) return problem(400, 3, error.message);
    throw error;
  }
}

const JSON_ANSWER = { mediaType: 'application/json' };

function json(status: number, value: unknown): ScannerAnswer {
  return { ...JSON_ANSWER, status, body: JSON.stringify(value) };
}

function problem(status: number, code: number, message: string): ScannerAnswer {
  return json(status, { code, message });
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseBody(body: Uint8Array | undefined): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body ?? []).toString('utf8'));
  } catch {
    throw new BadQuestion('expected JSON as the body');
  }
  if (!isObject(value)) throw new BadQuestion('expected a JSON object as the body');
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The ids that a query asks for, one page of them, and the token of the next page. */
function pageOf(asked: unknown, database: Database): { ids: string[]; next?: string | undefined } {
  if (!isObject(asked)) throw new BadQuestion('Invalid query.');
  const token = asked['page_token'];
  const start = token === undefined || token === '' ? 0 : Number(token);
  if (!Number.isSafeInteger(start) || start < 0) throw new BadQuestion('Invalid page token.');
  const { ecosystem, name, version } = packageAsked(asked, database);
  // What cannot be compared is named: the reader of a list can look, who gets none cannot.
  const all = [...new Set(database.matches(ecosystem, name, version).map(({ record }) => record.id))];
  return { ids: all.slice(start, start + PAGE), next: start + PAGE < all.length ? String(start + PAGE) : undefined };
}

function packageAsked(
  { package: pack, version, commit }: JsonObject,
  database: Database,
): { ecosystem: string; name: string; version: string | undefined } {
  if (commit !== undefined) throw new BadQuestion('Commits are not known here: ask for a package.');
  if (!isObject(pack) || (version !== undefined && typeof version !== 'string'))
    throw new BadQuestion('Invalid query.');
  const { purl, ecosystem, name } = pack;
  if (purl === undefined) {
    if (typeof ecosystem !== 'string' || typeof name !== 'string') throw new BadQuestion('Invalid query.');
    if (!database.covers(ecosystem)) throw new BadQuestion('Invalid ecosystem.');
    return { ecosystem, name, version: version === '' ? undefined : version };
  }
  if (name !== undefined || ecosystem !== undefined)
    throw new BadQuestion('name and ecosystem specified in a purl query');
  const parsed = typeof purl === 'string' ? parsePackageUrl(purl) : undefined;
  if (parsed === undefined) throw new BadQuestion('Invalid purl.');
  if (parsed.version !== undefined && version !== undefined) {
    throw new BadQuestion('version specified in params and purl query');
  }
  const found = database.packageOf(parsed);
  if (found === undefined) throw new BadQuestion('Invalid ecosystem.');
  return { ...found, version: parsed.version ?? version };
}

function query(asked: JsonObject, database: Database): ScannerAnswer {
  const { ids, next } = pageOf(asked, database);
  // Records are passed on as they came.
  const records = ids.flatMap((id) => database.record(id) ?? []);
  const page = next === undefined ? '' : `"next_page_token":${JSON.stringify(next)}`;
  const found = records.length === 0 ? '' : `"vulns":[${records.join(',')}]`;
  return { ...JSON_ANSWER, status: 200, body: `{${[found, page].filter((part) => part !== '').join(',')}}` };
}

function queryBatch({ queries }: JsonObject, database: Database): ScannerAnswer {
  if (!Array.isArray(queries)) throw new BadQuestion('expected a list "queries"');
  if (queries.length > MOST_QUERIES) throw new BadQuestion('Too many queries.');
  const results = queries.map((asked: unknown) => {
    const { ids, next } = pageOf(asked, database);
    const vulns = ids.map((id) => ({ id, modified: modifiedOf(database, id) }));
    return { vulns: vulns.length === 0 ? undefined : vulns, next_page_token: next };
  });
  return json(200, { results });
}

function modifiedOf(database: Database, id: string): string | undefined {
  const text = database.record(id);
  return text === undefined ? undefined : readRecord(JSON.parse(text))?.modified;
}

/** One advisory as npm's bulk route gives it. */
interface NpmAdvisory {
  readonly id: number;
  readonly url: string;
  readonly title: string;
  readonly severity: string;
  readonly vulnerable_versions: string;
  readonly cwe: readonly string[];
  readonly cvss: { readonly score: number; readonly vectorString: string | null };
}

function auditReply(asked: JsonObject, database: Database): Record<string, NpmAdvisory[]> {
  const reply: [string, NpmAdvisory[]][] = [];
  for (const [name, versions] of Object.entries(asked)) {
    if (!Array.isArray(versions)) throw new BadQuestion('expected a list of versions for every name');
    const hit = new Set<number>();
    for (const version of versions.filter((each): each is string => typeof each === 'string')) {
      for (const { group } of database.matches('npm', name, version)) hit.add(group);
    }
    const found = hit.size === 0 ? undefined : database.package('npm', name);
    if (found === undefined) continue;
    reply.push([
      name,
      [...hit].map((group) =>
        npmAdvisory(found.groups[group] as AdvisoryGroup, affectedBy(found.affected, group), database),
      ),
    ]);
  }
  return Object.fromEntries(reply);
}

function affectedBy(affected: readonly CompiledAffected[], group: number): CompiledAffected[] {
  return affected.filter((each) => each.group === group);
}

/** npm's levels. What is not known must be seen, and what is hostile is worse than anything. */
const NPM_LEVELS = {
  unknown: 'moderate',
  none: 'info',
  low: 'low',
  medium: 'moderate',
  high: 'high',
  critical: 'critical',
};

function npmAdvisory(group: AdvisoryGroup, affected: readonly CompiledAffected[], database: Database): NpmAdvisory {
  const named = affected.find(({ id }) => id.startsWith('GHSA-')) ?? (affected[0] as CompiledAffected);
  const text = database.record(named.id);
  const record = text === undefined ? undefined : readRecord(JSON.parse(text));
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
