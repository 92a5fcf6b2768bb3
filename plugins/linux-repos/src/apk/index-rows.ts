import type { Content, Integrity } from '@entrepot/core';
import { malformed, TarError, TarReader, type NewRow, type TarLimits } from '@entrepot/core/formats';
import { fileNameOf, numberOf, printListed, wordOf } from '../shared/listed.js';
import { unpacked } from '../shared/unpack.js';

/** Bounds of an index, unpacked. Alpine's largest has 25,000 packages, and 20 MB. */
const LIMITS: TarLimits = { files: 1000, fileBytes: 128 * 1024 * 1024, bytes: 160 * 1024 * 1024 };

/**
 * Reads `APKINDEX.tar.gz` as rows: the file name of each package, and what the index says of it, for `readListed`. The checksum is that
 * of the control part of the package, and not of the file: see `checkPackage`.
 * @throws EntrepotError `upstream-unavailable` for an index that is broken
 */
export async function* readIndexRows({ stream }: Pick<Content, 'stream'>): AsyncGenerator<NewRow> {
  const plain = await unpacked(stream());
  if (plain === undefined) return;
  const archive = new TarReader(withEnd(plain), LIMITS);
  try {
    let isThere = false;
    for await (const { name, kind } of archive.files()) {
      if (kind !== 'file' || name !== 'APKINDEX') continue;
      if (isThere) throw malformed('an index', 'it has two lists of packages');
      isThere = true;
      yield* rowsOf((await archive.content()).toString('utf8'));
    }
    if (!isThere) throw malformed('an index', 'expected a file "APKINDEX" in it');
  } catch (error) {
    throw error instanceof TarError ? malformed('an index', error.message, error) : error;
  }
}

/** The parts of an index and of a package are archives that are cut off before their end. */
export async function* withEnd(archive: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* archive;
  yield Buffer.alloc(1024);
}

function* rowsOf(text: string): Generator<NewRow> {
  let fields = new Map<string, string>();
  for (let at = 0; at <= text.length;) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(at, end);
    at = end + 1;
    if (line === '') {
      const row = rowOf(fields);
      if (row !== undefined) yield row;
      fields = new Map();
    } else if (line[1] === ':') {
      const field = line[0] as string;
      if (fields.has(field)) throw malformed('an index', `a package has the field ${JSON.stringify(field)} twice`);
      fields.set(field, line.slice(2));
    }
  }
  const row = rowOf(fields);
  if (row !== undefined) yield row;
}

function rowOf(fields: ReadonlyMap<string, string>): NewRow | undefined {
  const [name, version, checksum] = [wordOf(fields.get('P')), wordOf(fields.get('V')), identityOf(fields.get('C'))];
  if (name === undefined || version === undefined || checksum === undefined) return undefined;
  const path = fileNameOf(`${name}-${version}.apk`);
  if (path === undefined) return undefined;
  const size = numberOf(fields.get('S')) ?? 0;
  const architecture = wordOf(fields.get('A')) ?? 'noarch';
  const source = wordOf(fields.get('o')) ?? name;
  return [path, printListed({ checksum, size, name, version, architecture, source, sourceVersion: version })];
}

/** Reads `Q1`, with a SHA-1 in base64, or `Q2`, with a SHA-256. */
function identityOf(text: string | undefined): Integrity | undefined {
  const algorithm = text?.startsWith('Q1') ? 'sha1' : text?.startsWith('Q2') ? 'sha256' : undefined;
  if (text === undefined || algorithm === undefined || !/^[A-Za-z0-9+/]{27,43}={0,2}$/.test(text.slice(2)))
    return undefined;
  const sum = Buffer.from(text.slice(2), 'base64');
  return sum.length === (algorithm === 'sha1' ? 20 : 32) ? { algorithm, hex: sum.toString('hex') } : undefined;
}
