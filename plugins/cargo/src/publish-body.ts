import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { EntrepotError, messageOf, type Content } from '@entrepot/core';
import { fieldsOf, parseBoundedJson, printed, TarError, TarReader, type TarLimits } from '@entrepot/core/formats';
import { METADATA, type CrateMetadata } from './metadata.js';
import { parseToml } from './toml.js';

/** Limit of the metadata of a crate, its README included, in bytes. */
const LARGEST_METADATA = 4 * 1024 * 1024;
/** A `Cargo.toml`, in bytes: it is parsed between two requests. */
const LARGEST_MANIFEST = 512 * 1024;
const LIMITS: TarLimits = { bytes: 1024 ** 3, fileBytes: 1024 ** 3, files: 50_000 };
const LENGTH_BYTES = 4;

/** A crate as `cargo publish` sends it. */
export interface Publication {
  readonly metadata: CrateMetadata;
  /** The place of the archive in the body: its first byte and its last one. */
  readonly slice: { readonly start: number; readonly end: number };
  /** Of the archive, in hexadecimal digits. */
  readonly sha256: string;
}

/**
 * Reads the body of a publication: the length of the metadata (32 bits, little-endian), the metadata as JSON, the length of the archive,
 * the archive (The Cargo Book, "Registry Web API", "Publish"). The archive is never held whole.
 * @throws EntrepotError `bad-request`
 */
export async function readPublication(content: Content): Promise<Publication> {
  const [json, start] = await readMetadata(content);
  const metadata = checkMetadata(json);
  const hash = createHash('sha256');
  for await (const piece of from(content, start)) hash.update(piece);
  await checkArchive(metadata, from(content, start));
  return { metadata, slice: { start, end: content.size - 1 }, sha256: hash.digest('hex') };
}

/** @returns the metadata, and where the archive begins */
async function readMetadata(content: Content): Promise<[json: Buffer, start: number]> {
  const head = await firstBytes(content, LENGTH_BYTES);
  const length = head.readUInt32LE(0);
  if (length > LARGEST_METADATA) throw wrong(`expected ${LARGEST_METADATA} bytes of metadata at most, found ${length}`);
  const start = LENGTH_BYTES + length + LENGTH_BYTES;
  if (start > content.size) throw wrong(`the body has ${content.size} bytes, and says that its metadata has ${length}`);
  const front = await firstBytes(content, start);
  const archive = front.readUInt32LE(start - LENGTH_BYTES);
  const left = content.size - start;
  if (archive !== left || left === 0)
    throw wrong(`the body says that its crate has ${archive} bytes, and has ${left} for it`);
  return [front.subarray(LENGTH_BYTES, start - LENGTH_BYTES), start];
}

function checkMetadata(json: Buffer): CrateMetadata {
  let value: unknown;
  try {
    value = parseBoundedJson(json);
  } catch (error) {
    throw wrong(`the metadata is no JSON: ${messageOf(error)}`);
  }
  const { data, error } = METADATA.safeParse(value);
  if (data !== undefined) return data;
  const [issue] = error.issues;
  throw wrong(`the metadata: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unexpected'}`);
}

/** Checks that all files of an archive are in the folder of the crate, and that its manifest is of the same version. */
async function checkArchive({ name, vers }: CrateMetadata, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const folder = `${name}-${vers}/`;
  let manifest: string | undefined;
  const unpacked = pipeline(bytes, createGunzip(), () => {});
  const tar = new TarReader(unpacked, LIMITS);
  try {
    for await (const file of tar.files()) {
      const path = file.name;
      if (!path.startsWith(folder) || path.split('/').includes('..'))
        throw wrong(`${printed(path)}: expected all files of the crate in ${folder}`);
      if (path !== `${folder}Cargo.toml`) continue;
      if (manifest !== undefined) throw wrong('expected one Cargo.toml, found two');
      if (file.size > LARGEST_MANIFEST) throw wrong(`Cargo.toml: expected ${LARGEST_MANIFEST} bytes at most`);
      manifest = (await tar.content()).toString();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof TarError) throw wrong(error.message);
    throw code?.startsWith('Z_') === true ? wrong(`the crate is no gzipped archive that is whole (${code})`) : error;
  } finally {
    unpacked.destroy();
  }
  if (manifest === undefined) throw wrong(`expected ${folder}Cargo.toml in the crate, found none`);
  checkManifest({ name, vers }, manifest);
}

function checkManifest({ name, vers }: Pick<CrateMetadata, 'name' | 'vers'>, text: string): void {
  let fields;
  try {
    fields = fieldsOf(parseToml(text)['package']);
  } catch (error) {
    throw wrong(`Cargo.toml: ${messageOf(error)}`);
  }
  const { name: own, version } = fields;
  if (own !== name || version !== vers)
    throw wrong(
      `Cargo.toml is of ${printed(`${String(own)} ${String(version)}`)}, and was published as ${name} ${vers}`,
    );
}

async function firstBytes(content: Content, length: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let found = 0;
  for await (const piece of content.stream()) {
    pieces.push(piece);
    found += piece.length;
    if (found >= length) break;
  }
  if (found < length) throw wrong(`expected ${length} bytes at least, found ${found}`);
  return Buffer.concat(pieces).subarray(0, length);
}

async function* from({ stream }: Content, start: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of stream()) {
    const skipped = Math.min(piece.length, Math.max(0, start - at));
    at += piece.length;
    if (skipped < piece.length) yield piece.subarray(skipped);
  }
}

function wrong(problem: string): EntrepotError {
  return new EntrepotError('bad-request', problem, { code: 'CRATE_INVALID' });
}
