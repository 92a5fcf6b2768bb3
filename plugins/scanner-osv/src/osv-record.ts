/** One event of a range: the first of the four that is there. */
export interface OsvEvent {
  readonly kind: 'introduced' | 'fixed' | 'last_affected' | 'limit';
  readonly version: string;
}

/** `GIT` ranges are left out: they are about commits. */
export interface OsvRange {
  readonly type: 'SEMVER' | 'ECOSYSTEM';
  readonly events: readonly OsvEvent[];
}

/** A record's entry for one package. */
export interface OsvAffected {
  readonly ecosystem: string;
  readonly name: string;
  readonly ranges: readonly OsvRange[];
  readonly versions: readonly string[];
  readonly severity: readonly OsvSeverity[];
  /** CWE-506 (embedded malicious code) is among its weaknesses. */
  readonly malicious: boolean;
  /** Content hashes that the record names, whatever the name of the package: sha512 in hex. */
  readonly hashes: readonly string[];
}

/** A CVSS vector, or a word of the distribution. */
export interface OsvSeverity {
  readonly type: string;
  readonly score: string;
}

/** The parts of an OSV record that are read. Source: OSV schema 1.7. */
export interface OsvRecord {
  readonly id: string;
  /** As the record has it. */
  readonly modified: string;
  readonly published?: string | undefined;
  readonly withdrawn: boolean;
  readonly aliases: readonly string[];
  readonly summary?: string | undefined;
  readonly severity: readonly OsvSeverity[];
  /** `database_specific.severity`. */
  readonly severityWord?: string | undefined;
  readonly cwes: readonly string[];
  readonly malicious: boolean;
  readonly affected: readonly OsvAffected[];
  /** The first reference of type ADVISORY, else of WEB. */
  readonly url?: string | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

const ID = /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}$/;
const EVENTS = ['introduced', 'fixed', 'last_affected', 'limit'] as const;
/** CWE-506: Embedded Malicious Code. */
const MALICIOUS_CODE = 'CWE-506';

/** Reads a record. Whatever in it is malformed is left out. @returns `undefined`: it is no record */
export function readRecord(value: unknown): OsvRecord | undefined {
  if (!isObject(value)) return undefined;
  const id = value['id'];
  if (typeof id !== 'string' || !ID.test(id)) return undefined;
  const specific = object(value['database_specific']);
  const cwes = strings(specific['cwe_ids']);
  const aliases = strings(value['aliases']).filter((alias) => alias !== id && ID.test(alias));
  const affected = objects(value['affected']).flatMap(readAffected);
  return {
    id,
    modified: text(value['modified']) ?? '',
    published: text(value['published']),
    withdrawn: text(value['withdrawn']) !== undefined,
    aliases,
    summary: text(value['summary']),
    severity: objects(value['severity']).flatMap(readSeverity),
    severityWord: text(specific['severity']),
    cwes,
    malicious:
      [id, ...aliases].some(isMaliciousId) ||
      cwes.includes(MALICIOUS_CODE) ||
      affected.some(({ malicious }) => malicious),
    affected,
    url: referenceOf(objects(value['references'])),
  };
}

/** Records of the malicious packages database. */
function isMaliciousId(id: string): boolean {
  return id.startsWith('MAL-');
}

function readAffected(affected: JsonObject): OsvAffected[] {
  const pack = object(affected['package']);
  const ecosystem = text(pack['ecosystem']);
  const name = text(pack['name']);
  if (ecosystem === undefined || name === undefined) return [];
  const specific = object(affected['database_specific']);
  return [
    {
      ecosystem,
      name,
      ranges: objects(affected['ranges']).flatMap(readRange),
      versions: strings(affected['versions']),
      severity: objects(affected['severity']).flatMap(readSeverity),
      malicious: objects(specific['cwes']).some((cwe) => cwe['cweId'] === MALICIOUS_CODE),
      hashes: hashesOf(object(specific['indicators'])),
    },
  ];
}

function readRange(range: JsonObject): OsvRange[] {
  const type = range['type'];
  if (type !== 'SEMVER' && type !== 'ECOSYSTEM') return [];
  return [{ type, events: objects(range['events']).flatMap(readEvent) }];
}

/** An event has one of the four; should it have several, each counts. */
function readEvent(event: JsonObject): OsvEvent[] {
  return EVENTS.flatMap((kind) => {
    const version = text(event[kind]);
    return version === undefined ? [] : [{ kind, version }];
  });
}

function readSeverity(severity: JsonObject): OsvSeverity[] {
  const type = text(severity['type']);
  const score = text(severity['score']);
  return type === undefined || score === undefined ? [] : [{ type, score }];
}

function hashesOf(indicators: JsonObject): string[] {
  return objects(indicators['package_integrity']).flatMap((integrity) => {
    const sri = text(object(integrity['hashes'])['sha512_sri']);
    const match = sri === undefined ? null : /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(sri.trim());
    return match === null ? [] : [Buffer.from(match[1] as string, 'base64').toString('hex')];
  });
}

function referenceOf(references: readonly JsonObject[]): string | undefined {
  for (const type of ['ADVISORY', 'WEB']) {
    for (const reference of references) {
      const url = text(reference['url']);
      if (reference['type'] === type && url !== undefined && /^https?:\/\//.test(url)) return url;
    }
  }
  return undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((element): element is string => typeof element === 'string') : [];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
