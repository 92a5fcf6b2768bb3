import { parseSri } from '@entrepot/core';
import { fieldsOf, type Fields, isRecord, listOf, textOf, textsOf } from '@entrepot/core/formats';

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

/** The form of an id. */
export const RECORD_ID = /^[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}$/;
const EVENTS = ['introduced', 'fixed', 'last_affected', 'limit'] as const;
/** CWE-506: Embedded Malicious Code. */
const MALICIOUS_CODE = 'CWE-506';

/** Parses a record. `undefined` when the text is none. */
export function parseRecord(text: string): OsvRecord | undefined {
  try {
    return readRecord(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Reads a record. Whatever in it is malformed is left out. @returns `undefined`: it is no record */
export function readRecord(value: unknown): OsvRecord | undefined {
  if (!isRecord(value)) return undefined;
  const id = value['id'];
  if (typeof id !== 'string' || !RECORD_ID.test(id)) return undefined;
  const specific = fieldsOf(value['database_specific']);
  const cwes = textsOf(specific['cwe_ids']);
  const aliases = textsOf(value['aliases']).filter((alias) => alias !== id && RECORD_ID.test(alias));
  const affected = listOf(value['affected']).flatMap(readAffected);
  return {
    id,
    modified: textOf(value['modified']) ?? '',
    published: textOf(value['published']),
    withdrawn: textOf(value['withdrawn']) !== undefined,
    aliases,
    summary: textOf(value['summary']),
    severity: listOf(value['severity']).flatMap(readSeverity),
    severityWord: textOf(specific['severity']),
    cwes,
    malicious:
      // Records of the malicious packages database.
      [id, ...aliases].some((name) => name.startsWith('MAL-')) ||
      cwes.includes(MALICIOUS_CODE) ||
      affected.some(({ malicious }) => malicious),
    affected,
    url: referenceOf(listOf(value['references'])),
  };
}

function readAffected(affected: Fields): OsvAffected[] {
  const { ecosystem, name } = fieldsOf(affected['package']);
  if (textOf(ecosystem) === undefined || textOf(name) === undefined) return [];
  const specific = fieldsOf(affected['database_specific']);
  return [
    {
      ecosystem: ecosystem as string,
      name: name as string,
      ranges: listOf(affected['ranges']).flatMap(readRange),
      versions: textsOf(affected['versions']),
      severity: listOf(affected['severity']).flatMap(readSeverity),
      malicious: listOf(specific['cwes']).some((cwe) => cwe['cweId'] === MALICIOUS_CODE),
      hashes: hashesOf(fieldsOf(specific['indicators'])),
    },
  ];
}

function readRange(range: Fields): OsvRange[] {
  const type = range['type'];
  if (type !== 'SEMVER' && type !== 'ECOSYSTEM') return [];
  return [{ type, events: listOf(range['events']).flatMap(readEvent) }];
}

/** An event has one of the four; should it have several, each counts. */
function readEvent(event: Fields): OsvEvent[] {
  return EVENTS.flatMap((kind) => {
    const version = textOf(event[kind]);
    return version === undefined ? [] : [{ kind, version }];
  });
}

function readSeverity(severity: Fields): OsvSeverity[] {
  const type = textOf(severity['type']);
  const score = textOf(severity['score']);
  return type === undefined || score === undefined ? [] : [{ type, score }];
}

function hashesOf(indicators: Fields): string[] {
  return listOf(indicators['package_integrity']).flatMap(({ hashes }) => {
    const promised = parseSri(textOf(fieldsOf(hashes)['sha512_sri']) ?? '');
    return promised.filter(({ algorithm }) => algorithm === 'sha512').map(({ hex }) => hex);
  });
}

function referenceOf(references: readonly Fields[]): string | undefined {
  const urls = ['ADVISORY', 'WEB'].flatMap((type) =>
    references.filter((reference) => reference['type'] === type).map(({ url }) => textOf(url)),
  );
  return urls.find((url) => url !== undefined && /^https?:\/\//.test(url));
}
