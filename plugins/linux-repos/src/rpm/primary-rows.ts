import type { Content, Integrity } from '@entrepot/core';
import { XmlReader, type NewRow, type XmlHandler } from '@entrepot/core/formats';
import { checksumOf, numberOf, pathOf, printListed, wordOf } from '../shared/listed.js';
import { unpacked } from '../shared/unpack.js';
import { sourceOf, versionOf } from './source.js';

/**
 * Reads `primary.xml`, or the list of deltas (`prestodelta.xml`, `deltainfo.xml`), as rows: the path of each file below the repository,
 * and what the index says of it, for `readListed`. Yields nothing for other files, and for a packing that is not read (bzip2, zchunk).
 * @throws EntrepotError `upstream-unavailable` for an index that is broken
 */
export async function* readPrimaryRows({ stream }: Pick<Content, 'stream'>): AsyncGenerator<NewRow> {
  const plain = await unpacked(stream());
  if (plain === undefined) return;
  const handler = new RowsOfXml();
  const reader = new XmlReader('an index', handler);
  let hasBegun = false;
  for await (const bytes of plain) {
    // No index of that kind: sqlite, YAML, keys.
    if (!hasBegun && bytes.length > 0 && !isXml(bytes)) return;
    hasBegun ||= bytes.length > 0;
    reader.write(bytes);
    if (handler.isOther) return;
    yield* handler.taken();
  }
  if (!hasBegun) return;
  reader.end();
  yield* handler.taken();
}

/** Whether a document may begin so: `<` after blanks and a byte order mark. */
function isXml(bytes: Uint8Array): boolean {
  return /^\u{feff}?\s*(?:<|$)/u.test(Buffer.from(bytes.subarray(0, 256)).toString('utf8'));
}

interface Package {
  name?: string | undefined;
  architecture?: string | undefined;
  version?: string | undefined;
  epoch?: string | undefined;
  checksumType?: string | undefined;
  checksum?: Integrity | undefined;
  size?: number | undefined;
  path?: string | undefined;
  source?: string | undefined;
}

/** The list of packages, and the list of deltas by its two names. */
const ROOTS: ReadonlySet<string> = new Set(['/metadata', '/prestodelta', '/deltainfo']);

/** Gathers rows from the elements of an index. */
class RowsOfXml implements XmlHandler {
  #root = '';
  #rows: NewRow[] = [];
  /** The package that is read; of deltas, the one that they lead to. */
  #one: Package = {};
  #delta: Package = {};

  /** Whether it is another document. */
  get isOther(): boolean {
    return this.#root !== '' && !ROOTS.has(this.#root);
  }

  /** The rows since the last time. */
  taken(): readonly NewRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  open(path: string, attributes: Readonly<Record<string, string>>): void {
    if (this.#root === '') this.#root = path;
    const one = this.#one;
    // Below the root, whatever its name is.
    switch (path.slice(this.#root.length)) {
      case '/package':
        this.#one = {};
        break;
      case '/package/version':
        one.epoch = attributes['epoch'];
        one.version = versionOf(attributes['epoch'], attributes['ver'], attributes['rel']);
        break;
      case '/package/checksum':
        one.checksumType = attributes['type'];
        break;
      case '/package/size':
        one.size = numberOf(attributes['package']);
        break;
      case '/package/location':
        one.path = attributes['xml:base'] === undefined ? pathOf(decoded(attributes['href'])) : undefined;
        break;
      case '/newpackage':
        this.#one = {
          name: attributes['name'],
          architecture: attributes['arch'],
          version: versionOf(attributes['epoch'], attributes['version'], attributes['release']),
        };
        break;
      case '/newpackage/delta':
        this.#delta = {};
        break;
      case '/newpackage/delta/checksum':
        this.#delta.checksumType = attributes['type'];
        break;
      default:
    }
  }

  close(path: string, text: string): void {
    const [one, delta] = [this.#one, this.#delta];
    switch (path.slice(this.#root.length)) {
      case '/package/name':
        one.name = text;
        break;
      case '/package/arch':
        one.architecture = text;
        break;
      case '/package/checksum':
        one.checksum ??= checksumOf(one.checksumType, text);
        break;
      case '/package/format/sourcerpm':
        one.source = text;
        break;
      case '/package':
        this.#add(one);
        break;
      case '/newpackage/delta/filename':
        delta.path = pathOf(decoded(text));
        break;
      case '/newpackage/delta/size':
        delta.size = numberOf(text);
        break;
      case '/newpackage/delta/checksum':
        delta.checksum = checksumOf(delta.checksumType, text);
        break;
      case '/newpackage/delta':
        this.#add({ ...one, ...delta });
        break;
      default:
    }
  }

  #add({ path, checksum, size = 0, version, epoch, ...words }: Package): void {
    const [name, architecture] = [wordOf(words.name), wordOf(words.architecture)];
    if (path === undefined || checksum === undefined || version === undefined) return;
    if (name === undefined || architecture === undefined) return;
    const { source, sourceVersion } = sourceOf(words.source, epoch) ?? { source: name, sourceVersion: version };
    this.#rows.push([path, printListed({ checksum, size, name, version, architecture, source, sourceVersion })]);
  }
}

/** A path as requests have it. Clients ask for the text of an index as it stands there, and `%2B` in it is read as any URL. */
function decoded(href: string | undefined): string | undefined {
  if (href?.includes('%') !== true) return href;
  try {
    return decodeURIComponent(href);
  } catch {
    return href;
  }
}
