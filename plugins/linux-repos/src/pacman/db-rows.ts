import type { Content } from '@entrepot/core';
import { malformed, TarError, TarReader, type NewRow, type TarLimits } from '@entrepot/core/formats';
import {
  checksumOf,
  fileNameOf,
  numberOf,
  printListed,
  readListed,
  wordOf,
  type ListedFile,
} from '../shared/listed.js';
import { unpacked } from '../shared/unpack.js';

/** Bounds of a database. Arch Linux's largest has 15,000 packages, and 200 MB with lists of their files. */
const LIMITS: TarLimits = { files: 2_000_000, fileBytes: 64 * 1024 * 1024, bytes: 4 * 1024 * 1024 * 1024 };
/** The largest description of one package that is read, in bytes. */
const LARGEST_DESCRIPTION = 1024 * 1024;
/** The longest signature, in characters of base64. */
const LONGEST_SIGNATURE = 32 * 1024;

/** A package, as a database lists it. `source` is its base; the version of that is the same. */
export interface ListedPacmanPackage extends ListedFile {
  /** Its detached OpenPGP signature, in base64: the bytes of `<file>.sig`. */
  readonly signature: string | undefined;
}

/**
 * Reads a database (`core.db`, `core.files`) as rows: the file name of each package, and what the database says of it, for
 * `readPacmanValue`. Yields nothing for a packing that is not read.
 * @throws EntrepotError `upstream-unavailable` for a database that is broken, or has links
 */
export async function* readDatabaseRows({ stream }: Pick<Content, 'stream'>): AsyncGenerator<NewRow> {
  const plain = await unpacked(stream());
  if (plain === undefined) return;
  const archive = new TarReader(plain, LIMITS);
  try {
    for await (const { name, kind, size } of archive.files()) {
      if (kind !== 'file' || !/^(?:\.\/)?[^/]+\/desc$/.test(name)) continue;
      if (size > LARGEST_DESCRIPTION)
        throw malformed('a database', `expected descriptions of ${LARGEST_DESCRIPTION} bytes at most`);
      const row = rowOf(fieldsOf((await archive.content()).toString('utf8')));
      if (row !== undefined) yield row;
    }
  } catch (error) {
    throw error instanceof TarError ? malformed('a database', error.message, error) : error;
  }
}

/** Reads the value of a row. */
export function readPacmanValue(value: Buffer): ListedPacmanPackage {
  const { more, ...file } = readListed(value);
  return { ...file, signature: more[0] };
}

/** Reads the bytes of the detached signature of a package: those of `<file>.sig`. `undefined`: the database has none. */
export function signatureOf({ signature }: Pick<ListedPacmanPackage, 'signature'>): Buffer | undefined {
  return signature === undefined ? undefined : Buffer.from(signature, 'base64');
}

/** The first value of each field: `%NAME%`, and lines until an empty one. */
function fieldsOf(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  const lines = text.split('\n');
  for (let at = 0; at < lines.length - 1; at += 1) {
    const line = lines[at] as string;
    if (line.length < 3 || !line.startsWith('%') || !line.endsWith('%')) continue;
    const name = line.slice(1, -1);
    if (fields.has(name)) throw malformed('a database', `a package has the field ${name.slice(0, 40)} twice`);
    fields.set(name, (lines[at + 1] as string).trim());
    // Values are read as such, whatever they look like.
    while (at + 1 < lines.length && lines[at + 1] !== '') at += 1;
  }
  return fields;
}

function rowOf(fields: ReadonlyMap<string, string>): NewRow | undefined {
  const path = fileNameOf(fields.get('FILENAME'));
  const name = wordOf(fields.get('NAME'));
  const version = wordOf(fields.get('VERSION'));
  const checksum = checksumOf('sha256', fields.get('SHA256SUM')) ?? checksumOf('md5', fields.get('MD5SUM'));
  if (path === undefined || name === undefined || version === undefined || checksum === undefined) return undefined;
  const size = numberOf(fields.get('CSIZE')) ?? 0;
  const architecture = wordOf(fields.get('ARCH')) ?? 'any';
  const source = wordOf(fields.get('BASE')) ?? name;
  const signature = fields.get('PGPSIG') ?? '';
  const isSigned = signature.length <= LONGEST_SIGNATURE && /^[A-Za-z0-9+/]+={0,2}$/.test(signature);
  const file = { checksum, size, name, version, architecture, source, sourceVersion: version };
  return [path, printListed(file, isSigned ? [signature] : [])];
}
