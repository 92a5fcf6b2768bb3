import type { Content } from '@entrepot/core';
import { malformed, type NewRow } from '@entrepot/core/formats';
import { checksumOf, numberOf, pathOf, printListed, wordOf } from '../shared/listed.js';
import { unpacked } from '../shared/unpack.js';

const CHECKSUMS = 'Checksums-Sha256';
/** The longest line of an index, and the longest sums of one source package, in characters. */
const LONGEST_LINE = 1024 * 1024;

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

function* rowsOf(stanza: ReadonlyMap<string, string>): Generator<NewRow> {
  const name = wordOf(stanza.get('Package'));
  const version = wordOf(stanza.get('Version'));
  if (name === undefined || version === undefined) return;
  const [, named, otherVersion] = /^(\S+)(?:\s+\((\S+)\))?$/.exec(stanza.get('Source') ?? '') ?? [];
  const about = { name, version, source: named ?? name, sourceVersion: otherVersion ?? version };
  const path = pathOf(stanza.get('Filename'));
  const checksum = checksumOf('sha256', stanza.get('SHA256'));
  if (path !== undefined && checksum !== undefined) {
    const architecture = wordOf(stanza.get('Architecture')) ?? 'all';
    yield [path, printListed({ ...about, checksum, size: numberOf(stanza.get('Size')) ?? 0, architecture })];
  }
  const directory = stanza.get('Directory');
  for (const line of (directory === undefined ? undefined : stanza.get(CHECKSUMS))?.split('\n') ?? []) {
    const [text, size, file = ''] = line.split(/\s+/);
    const [place, sum] = [pathOf(`${directory}/${file}`), checksumOf('sha256', text)];
    if (place === undefined || file === '' || sum === undefined) continue;
    yield [place, printListed({ ...about, checksum: sum, size: numberOf(size) ?? 0, architecture: 'source' })];
  }
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
