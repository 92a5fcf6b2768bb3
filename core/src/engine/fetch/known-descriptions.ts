import { Lru } from '../../formats/lru.js';
import type { Table } from '../../formats/tables/index.js';
import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { FactName } from '../../api/facts.js';
import type { Parsed, VerifyContext } from '../../plugin/classes.js';
import type { DocumentResource } from '../request/resource.js';
import type { TableFolder } from '../store/table-folder.js';

/** The bound on parsed documents of one repository, by their own weights. Bytes. */
const MAX_BYTES = 25_000_000;
/** The weight of a parsed document besides its own, in bytes. */
const OVERHEAD = 500;

/** Rows of a document from this size on are in a file. Bytes. */
export const TABLED_BYTES = 2 * 1024 * 1024;

type Facts = ReadonlySet<FactName>;

/** Result of reading a document. */
export interface Reading {
  readonly parsed: Parsed;
  /** The facts that were looked for; `undefined`: all that there are. */
  readonly lookedFor: Facts | undefined;
  /** The rows that it answers from. Absent: it is in memory. */
  readonly table?: Table | undefined;
}

/** The place of tables of what has this digest. */
export interface TablePlace {
  readonly folder: TableFolder;
  readonly digest: Digest;
}

/**
 * Reads a document, and notes whether its class asked which facts are wanted: then those are all that it looked for.
 * @param place absent: its digest is not known yet, and it is parsed
 */
export async function readDocument(
  document: DocumentResource,
  content: Content,
  { needs, ...others }: VerifyContext,
  place?: TablePlace,
): Promise<Reading> {
  let lookedFor: Facts | undefined;
  const context: VerifyContext = {
    ...others,
    get needs() {
      return (lookedFor = needs);
    },
  };
  await document.verify(content, context);
  if (place === undefined || !isTabled(document, content.size))
    return { parsed: await document.parse(content, context), lookedFor };
  const rows = document.rows(content, context);
  const table =
    content.size < TABLED_BYTES
      ? await rows.read()
      : await place.folder.find(`${place.digest} ${rows.name}`, (path, name) => rows.write(path, name));
  return { parsed: rows.open(table), lookedFor, table };
}

/** Whether a document of this size is read as rows. */
export function isTabled({ tabled }: DocumentResource, size: number): boolean {
  return tabled === 'always' || (tabled === 'large' && size >= TABLED_BYTES);
}

/** Descriptions from the documents of one repository, in memory. */
export class KnownDescriptions {
  readonly #known = new Lru<Reading>(MAX_BYTES, ({ parsed }) => parsed.weight + OVERHEAD);

  /** Finds the reading of the document with `digest`, if it looked for all that policy needs. */
  get(documentKey: string, digest: Digest, needs: Facts): Reading | undefined {
    const reading = this.#known.get(keyOf(documentKey, digest));
    const isUsable = reading?.table?.isDamaged !== true && covers(reading?.lookedFor, needs);
    return isUsable ? reading : undefined;
  }

  set(documentKey: string, digest: Digest, reading: Reading): void {
    this.#known.set(keyOf(documentKey, digest), reading);
  }
}

/** Names the source of facts, as it is kept with an entry: the document, and the facts that were looked for in it. */
export function sourceOf(digest: Digest, { lookedFor }: Reading): string {
  return lookedFor === undefined ? digest : [digest, ...[...lookedFor].sort()].join(' ');
}

/** Whether facts with this source are all that the document with `digest` says of what policy needs. */
export function isSource(source: string | undefined, digest: Digest, needs: Facts): boolean {
  if (source === undefined) return false;
  const [from, ...lookedFor] = source.split(' ');
  if (from !== digest) return false;
  return source === digest || covers(new Set(lookedFor as FactName[]), needs);
}

function covers(lookedFor: Facts | undefined, needs: Facts): boolean {
  return lookedFor === undefined || [...needs].every((name) => lookedFor.has(name));
}

function keyOf(documentKey: string, digest: Digest): string {
  return `${digest} ${documentKey}`;
}
