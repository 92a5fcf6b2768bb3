import type { Content } from '@entrepot/core';
import { malformed, type NewRow } from '@entrepot/core/formats';
import { unpacked } from '../shared/unpack.js';
import { isSafe } from './release.js';

const CHECKSUMS = 'Checksums-Sha256';
/** The longest line of an index, and the longest sums of one source package, in characters. */
const LONGEST_LINE = 1024 * 1024;

/** A file of an archive, as the value of its row has it. */
export interface ListedPackage {
  readonly sha256: string;
  readonly size: number;
  /** Of the source package: advisories are by that. */
  readonly source: string;
  readonly sourceVersion: string;
  readonly name: string;
  readonly architecture: string;
}

/**
 * Reads `Packages` or `Sources` as rows: the path of each file below the archive, and what the index says of it. Yields nothing for
 * other files.
 * @throws EntrepotError `upstream-unavailable` for an index that is broken
 */
export async function* readPackageRows({ stream }: Pick<Content, 'stream'>): AsyncGenerator<NewRow> {
  const plain = await unpacked(stream());
  if (plain === undefined) return;
  let stanza = new Map<string, string>();
  let field: string | undefined;
  for await (const lines of linesOf(plain)) {
    for (const line of lines) {
      if (line === '') {
        yield* rowsOf(stanza);
        stanza = new Map();
        field = undefined;
      } else if (line.charCodeAt(0) === 32 || line.charCodeAt(0) === 9) {
        if (field !== CHECKSUMS) continue;
        const sums = `${stanza.get(field)}\n${line.trim()}`;
        if (sums.length > LONGEST_LINE)
          throw malformed('an index', `expected stanzas with ${LONGEST_LINE} characters of sums at most`);
        stanza.set(field, sums);
      } else {
        const colon = line.indexOf(':');
        if (colon < 1) return;
        field = line.slice(0, colon);
        if (WANTED.has(field)) stanza.set(field, line.slice(colon + 1).trim());
      }
    }
  }
  yield* rowsOf(stanza);
}

const WANTED: ReadonlySet<string> = new Set([
  'Package',
  'Source',
  'Version',
  'Architecture',
  'Filename',
  'Size',
  'SHA256',
  'Directory',
  CHECKSUMS,
]);

/** Writes the value of a row. */
function valueOf({ sha256, size, source, sourceVersion, name, architecture }: ListedPackage): string {
  return [sha256, size, source, sourceVersion, name, architecture].join(' ');
}

/** Reads the value of a row. */
export function readValue(value: Buffer): ListedPackage {
  const [sha256 = '', size, source = '', sourceVersion = '', name = '', architecture = ''] = value
    .toString('utf8')
    .split(' ');
  return { sha256, size: Number(size), source, sourceVersion, name, architecture };
}

function* rowsOf(stanza: ReadonlyMap<string, string>): Generator<NewRow> {
  const name = word(stanza.get('Package'));
  const version = word(stanza.get('Version'));
  if (name === undefined || version === undefined) return;
  const [, named, otherVersion] = /^(\S+)(?:\s+\((\S+)\))?$/.exec(stanza.get('Source') ?? '') ?? [];
  const about = { name, source: named ?? name, sourceVersion: otherVersion ?? version };
  const path = pathOf(stanza.get('Filename'));
  const sha256 = stanza.get('SHA256')?.toLowerCase();
  if (path !== undefined && sha256 !== undefined && isSum(sha256)) {
    const architecture = word(stanza.get('Architecture')) ?? 'all';
    yield [path, valueOf({ ...about, sha256, size: Number(stanza.get('Size')) || 0, architecture })];
  }
  const directory = stanza.get('Directory');
  for (const line of (directory === undefined ? undefined : stanza.get(CHECKSUMS))?.split('\n') ?? []) {
    const [sum = '', size = '', file = ''] = line.split(/\s+/);
    const place = pathOf(`${directory}/${file}`);
    if (place === undefined || file === '' || !isSum(sum)) continue;
    yield [place, valueOf({ ...about, sha256: sum, size: Number(size) || 0, architecture: 'source' })];
  }
}

function word(text: string | undefined): string | undefined {
  return text !== undefined && /^[!-~]+$/.test(text) ? text : undefined;
}

function isSum(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** A path below the archive as requests have it. `undefined`: one that leads elsewhere. */
function pathOf(text: string | undefined): string | undefined {
  if (text === undefined || text === '' || text.length > 4096 || !isSafe(text)) return undefined;
  return text
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    .join('/');
}

/** Lines, as many at a time as a piece has. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of bytes) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw malformed('an index', `expected lines of ${LONGEST_LINE} characters at most`);
    yield lines;
  }
  if (rest !== '') yield [rest];
}
