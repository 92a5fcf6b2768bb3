import type { Content, DocumentBytes, PackageCoordinates, Parsed, RenderRequest } from '@entrepot/core';
import { parseHex } from '@entrepot/core';
import {
  createJsonScanner,
  isRecord,
  malformed,
  parseBoundedJson,
  SKIP,
  textOf,
  WorkTurns,
  type Fields,
} from '@entrepot/core/formats';
import { VersionList, type VersionLine } from './version-list.js';

/** The largest document of one crate, in bytes. */
export const LARGEST_INDEX = 64 * 1024 * 1024;
/** The longest line of it, in bytes: one version. */
export const LONGEST_LINE = 1024 * 1024;
const LINE_END = 0x0a;

/** The versions of one crate, one for each line that is not empty, in their order. */
export interface CrateIndex extends Parsed {
  readonly versions: VersionList;
}

/**
 * Reads the index of a crate.
 * @param crate in lower case
 * @param licences those that are known, by version
 * @throws EntrepotError `upstream-unavailable` where a line is no version of that crate: cargo could read it otherwise than policy did
 */
export async function parseIndex(
  crate: string,
  content: Content,
  licences: ReadonlyMap<string, string> = new Map(),
): Promise<CrateIndex> {
  const lines: VersionLine[] = [];
  const turns = new WorkTurns();
  for await (const line of linesOf(crate, content)) {
    if (isEmpty(line)) continue;
    lines.push(readLine(crate, line));
    if (turns.over) await turns.next();
  }
  const versions = new VersionList(crate, lines, licences);
  return {
    weight: versions.weight,
    versions,
    describe: (key) => versions.describe(key),
    descriptions: () => versions.descriptions(),
  };
}

/** Writes the index of a crate: byte for byte, but that versions that policy refuses are yanked. */
export async function renderIndex(
  { versions }: CrateIndex,
  { resource, content, admits }: RenderRequest,
): Promise<DocumentBytes> {
  const refused = new Set<number>();
  const turns = new WorkTurns();
  for (let place = 0; place < versions.length; place += 1) {
    const description = versions.at(place);
    if (!admits(description.coordinates as PackageCoordinates, description)) refused.add(place);
    if (turns.over) await turns.next();
  }
  return refused.size === 0 ? content.stream() : yankedAt(refused, resource.coordinates?.name ?? '', content);
}

async function* yankedAt(places: ReadonlySet<number>, crate: string, content: Content): AsyncGenerator<Uint8Array> {
  let place = 0;
  for await (const line of linesOf(crate, content)) {
    if (isEmpty(line)) yield line;
    else yield places.has(place++) ? yanked(line) : line;
  }
}

/** A line with its `yanked` set, and all else as it was. */
export function yanked(line: Buffer): Buffer {
  const places: { readonly start: number; readonly end: number }[] = [];
  const scanner = createJsonScanner({
    member: () => SKIP,
    ended(key, _start, valueStart, end) {
      if (key === 'yanked') places.push({ start: valueStart, end });
    },
  });
  scanner.write(line);
  scanner.end();
  const end = line.lastIndexOf('}');
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of places) {
    pieces.push(line.subarray(from, place.start), Buffer.from('true'));
    from = place.end;
  }
  if (places.length > 0) return Buffer.concat([...pieces, line.subarray(from)]);
  return Buffer.concat([line.subarray(0, end), Buffer.from(',"yanked":true'), line.subarray(end)]);
}

/** Yields the lines with their ends, in bounded memory. */
async function* linesOf(crate: string, content: Content): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const piece of content.stream()) {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    let from = 0;
    for (let at = bytes.indexOf(LINE_END); at !== -1; at = bytes.indexOf(LINE_END, from)) {
      const rest = bytes.subarray(from, at + 1);
      requireLength(crate, length + rest.length);
      yield length === 0 ? rest : Buffer.concat([...begun, rest]);
      begun = [];
      length = 0;
      from = at + 1;
    }
    if (from === bytes.length) continue;
    begun.push(bytes.subarray(from));
    length += bytes.length - from;
    requireLength(crate, length);
  }
  if (length > 0) yield Buffer.concat(begun);
}

function requireLength(crate: string, length: number): void {
  if (length > LONGEST_LINE) throw malformed(crate, `a line is longer than ${LONGEST_LINE} bytes`);
}

function isEmpty(line: Buffer): boolean {
  return line.length < 3 && line.toString('latin1').trim() === '';
}

function readLine(crate: string, line: Buffer): VersionLine {
  const fields = parseLine(crate, line);
  const [name, version, cksum] = ['name', 'vers', 'cksum'].map((key) => textOf(fields[key]));
  if (name?.toLowerCase() !== crate) throw malformed(crate, 'a line names another crate');
  if (version === undefined || !/^[\x21-\x7e]{1,512}$/.test(version))
    throw malformed(crate, 'a line has no version ("vers")');
  const sum = parseHex('sha256', cksum ?? '');
  if (sum === undefined) throw malformed(crate, `${version} has no SHA-256 ("cksum")`);
  return {
    name,
    version,
    sha256: sum.hex,
    isYanked: fields['yanked'] === true,
    links: textOf(fields['links']) !== undefined,
    publishedAt: Date.parse(textOf(fields['pubtime']) ?? ''),
  };
}

function parseLine(crate: string, line: Buffer): Fields {
  let fields: unknown;
  try {
    fields = parseBoundedJson(line);
  } catch (error) {
    throw malformed(crate, 'a line is not a JSON object', error);
  }
  if (!isRecord(fields)) throw malformed(crate, 'a line is not a JSON object');
  return fields;
}
