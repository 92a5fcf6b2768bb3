import { createHash } from 'node:crypto';
import { EntrepotError, type Content } from '@entrepot/core';
import { slices, TarError, TarReader, type TarLimits } from '@entrepot/core/formats';
import { hashed } from '../../shared/hosted/byte-reader.js';
import { unpacked } from '../../shared/unpack.js';
import { ArReader, broken } from './ar-reader.js';
import { readControl, type Control } from './control.js';

/** A package, read. */
export interface DebFile {
  /** Of the whole file, in hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly control: Control;
}

/** The largest `control.tar`, in bytes, packed. */
const LARGEST_PACKED = 16 * 1024 * 1024;
/** The largest control file, in bytes. */
const LARGEST_CONTROL = 512 * 1024;
/** Lists of files with their sums are in it, too. */
const LIMITS: TarLimits = { bytes: 64 * 1024 * 1024, fileBytes: 32 * 1024 * 1024, files: 10_000 };

/** The beginnings of the forms that dpkg unpacks a `control.tar` from, in hex, by the end of its name. */
const FORMS: Readonly<Record<string, string>> = { '': '', '.gz': '1f8b', '.xz': 'fd377a58', '.zst': '28b52ffd' };

/**
 * Reads a package to its end, in bounded memory: what it says of itself, and its sum.
 * @throws EntrepotError `bad-request` for what dpkg would not unpack, and for what two readers could read differently
 */
export async function readDeb({ size, stream }: Pick<Content, 'size' | 'stream'>): Promise<DebFile> {
  const hash = createHash('sha256');
  const archive = new ArReader(hashed(stream(), hash));
  const seen: string[] = [];
  let control: Control | undefined;
  let hasData = false;
  for await (const { name } of archive.members()) {
    const part = hasData ? 'behind' : partOf(name, seen.length);
    seen.push(name);
    if (part === 'version') requireVersion(await archive.content(16));
    if (part === 'control') {
      if (control !== undefined) throw broken('it has two control.tar');
      control = await readControlTar(name, await archive.content(LARGEST_PACKED));
    }
    if (part !== 'data') continue;
    if (control === undefined) throw broken('expected control.tar before data.tar');
    hasData = true;
  }
  if (control === undefined || !hasData) throw broken(`expected control.tar and data.tar, found ${seen.join(', ')}`);
  return { sha256: hash.digest('hex'), size, control };
}

/** Names the part that a member before the data is (deb(5)). Members that begin with `_` are for others. */
function partOf(name: string, index: number): 'version' | 'control' | 'data' | 'other' {
  if (index === 0) {
    if (name === 'debian-binary') return 'version';
    throw broken('expected debian-binary as the first member');
  }
  if (/^control\.tar(?:\.[a-z0-9]+)?$/.test(name)) return 'control';
  if (/^data\.tar(?:\.[a-z0-9]+)?$/.test(name)) return 'data';
  if (name.startsWith('_')) return 'other';
  throw broken(`expected control.tar and data.tar, found ${JSON.stringify(name)}`);
}

function requireVersion(bytes: Buffer): void {
  if (!/^2\.\d{1,3}\n/.test(bytes.toString('latin1'))) throw broken('expected debian-binary to be of version 2');
}

async function readControlTar(name: string, packed: Buffer): Promise<Control> {
  const begins = FORMS[name.slice('control.tar'.length)];
  if (begins === undefined) throw broken(`expected control.tar, or that as .gz, .xz or .zst, found ${name}`);
  if (packed.toString('hex', 0, begins.length / 2) !== begins) throw broken(`${name} is not what its name says`);
  let control: Control | undefined;
  try {
    const plain = await unpacked(pieces(packed));
    if (plain === undefined) throw broken(`${name} is not what its name says`);
    const tar = new TarReader(slices(plain), LIMITS);
    for await (const { name: path, kind, size } of tar.files()) {
      if (path.replace(/^\.\//, '') !== 'control') continue;
      if (control !== undefined || kind !== 'file') throw broken('expected one file named control');
      if (size > LARGEST_CONTROL) throw broken(`expected a control file of ${LARGEST_CONTROL} bytes at most`);
      control = readControl(await tar.content());
    }
  } catch (error) {
    if (error instanceof TarError) throw broken(`${name}: ${error.message}`, error);
    // The bytes are here: there is nothing else that can fail.
    if (error instanceof EntrepotError && error.kind === 'upstream-unavailable')
      throw broken(`${name} cannot be unpacked`, error);
    throw error;
  }
  if (control === undefined) throw broken(`expected a file named control in ${name}`);
  return control;
}

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
