import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type Fields, isRecord, printed, TarError, TarReader, type TarLimits } from '@entrepot/core/formats';
import { ChartError } from './chart-error.js';
import { METADATA_FIELDS, readMetadata, type ChartMetadata } from './chart-metadata.js';
import { parseYamlAside } from './yaml-thread.js';
import { decodeYaml, parseYaml } from './yaml-text.js';

/** Helm's own limits, and one for the number of files. */
const LIMITS: TarLimits = { bytes: 100 * 1024 * 1024, fileBytes: 5 * 1024 * 1024, files: 10_000 };
/** Chart.yaml and requirements.yaml, in bytes: they are parsed between two requests, and larger ones take too long. */
const LARGEST_METADATA = 256 * 1024;
const METADATA_FILES: ReadonlySet<string> = new Set(['Chart.yaml', 'requirements.yaml']);
const GZIP = [0x1f, 0x8b, 0x08];

/** A file of a chart. */
interface ChartFile {
  /** Below the folder of the chart: `templates/service.yaml`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  content(): Promise<Buffer>;
}

/**
 * Reads the metadata of a packed chart, to the end of the archive, with its checksum, in bounded memory.
 * @param bytes of the .tgz
 * @throws ChartError for a chart that helm would not load, and for an archive that two readers could read differently
 */
export async function readChart(bytes: AsyncIterable<Uint8Array>): Promise<ChartMetadata> {
  const found = new Map<string, Fields>();
  for await (const file of chartFiles(bytes)) {
    if (METADATA_FILES.has(file.path)) found.set(file.path, await readFields(file));
  }
  const chart = found.get('Chart.yaml');
  if (chart === undefined) throw new ChartError('expected a Chart.yaml in the folder of the chart, found none');
  // Charts of apiVersion v1 name their dependencies here. Helm would take any other metadata from it, too: no chart does.
  const requirements = found.get('requirements.yaml') ?? {};
  const others = new Set(Object.keys(requirements).map((key) => key.toLowerCase()));
  if (METADATA_FIELDS.some((field) => field !== 'dependencies' && others.has(field.toLowerCase())))
    throw new ChartError('requirements.yaml: expected dependencies alone');
  return readMetadata({ ...chart, ...requirements });
}

/** Reads the values.yaml of a packed chart, without a byte order mark. `undefined`: it has none. */
export async function readValues(bytes: AsyncIterable<Uint8Array>): Promise<Buffer | undefined> {
  for await (const file of chartFiles(bytes)) if (file.path === 'values.yaml') return withoutMark(await file.content());
  return undefined;
}

/**
 * Writes ChartMuseum's JSON of a packed chart's templates and values, `{"templates":[{"name","data"}],"values":{…}}`, file by file.
 * @throws ChartError also after a part was yielded
 */
export async function* templatesJson(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let values: Buffer | undefined;
  let before = '{"templates":[';
  for await (const file of chartFiles(bytes)) {
    if (file.path === 'values.yaml') values = withoutMark(await file.content());
    if (!file.path.startsWith('templates/')) continue;
    const content = withoutMark(await file.content());
    yield `${before}${JSON.stringify({ name: file.path, data: content.toString('base64') })}`;
    before = ',';
  }
  yield `${before === ',' ? '' : before}],"values":${values === undefined ? '{}' : await parseYamlAside(values)}}`;
}

/** Yields the files of a packed chart, by helm's rules on names. */
async function* chartFiles(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ChartFile> {
  // Its own faults and those of its source are thrown where it is read.
  const unpacked = pipeline(checked(bytes), createGunzip(), () => {});
  const seen = new Set<string>();
  const tar = new TarReader(unpacked, LIMITS);
  try {
    for await (const { name, kind, size } of tar.files()) {
      if (kind === 'folder') continue;
      const path = pathInChart(name);
      // Helm would merge one into the other.
      if (METADATA_FILES.has(path) || path === 'values.yaml') {
        if (seen.has(path)) throw new ChartError(`expected one ${path} in the chart, found two`);
        seen.add(path);
      }
      yield { path, size, content: () => tar.content().catch(throwFault) };
    }
  } catch (error) {
    throwFault(error);
  } finally {
    unpacked.destroy();
  }
}

/** Faults that zlib and the reader find are those of the archive. */
function throwFault(error: unknown): never {
  if (error instanceof TarError) throw new ChartError(error.message);
  const { code } = error as NodeJS.ErrnoException;
  if (code?.startsWith('Z_') !== true) throw error;
  throw new ChartError(`expected a gzipped archive that is whole (${code})`);
}

/** Checks the start: zlib says little about a body that is no gzip. */
async function* checked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of bytes) {
    for (const byte of piece.subarray(0, Math.max(0, GZIP.length - at))) {
      if (byte !== GZIP[at]) throw new ChartError('expected a gzipped archive');
      at += 1;
    }
    yield piece;
  }
  if (at < GZIP.length) throw new ChartError('expected a gzipped archive');
}

/** Gives the path of a file below the folder of the chart: the first segment, of any name. */
function pathInChart(name: string): string {
  const segments = name.split(name.includes('\\') ? '\\' : '/');
  const [folder, ...path] = segments;
  if (folder === '' || segments.includes('..') || name.includes('\0') || /^[a-zA-Z]:/.test(path[0] ?? ''))
    throw new ChartError(`${printed(name)}: expected names inside of the folder of the chart`);
  const clean = path.filter((segment) => segment !== '' && segment !== '.');
  if (clean.length === 0) throw new ChartError(`${printed(name)}: expected all files in one folder`);
  return clean.join('/');
}

async function readFields({ path, size, content }: ChartFile): Promise<Fields> {
  if (size > LARGEST_METADATA) throw new ChartError(`${path}: expected ${LARGEST_METADATA} bytes at most`);
  try {
    const fields = parseYaml(decodeYaml(await content()), 'last') ?? {};
    if (!isRecord(fields)) throw new ChartError('expected a mapping');
    return fields;
  } catch (error) {
    throw error instanceof ChartError ? new ChartError(`${path}: ${error.message}`) : error;
  }
}

function withoutMark(content: Buffer): Buffer {
  return content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf ? content.subarray(3) : content;
}
