import { Lru } from '../../formats/lru.js';
import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { FactName } from '../../api/facts.js';
import type { Parsed, VerifyContext } from '../../plugin/classes.js';
import type { DocumentResource } from '../request/resource.js';

/** The bound on parsed documents of one repository, by their own weights. Bytes. */
const MAX_BYTES = 25_000_000;
/** The weight of a parsed document besides its own, in bytes. */
const OVERHEAD = 500;

type Facts = ReadonlySet<FactName>;

/** Result of reading a document. */
export interface Reading {
  readonly parsed: Parsed;
  /** The facts that were looked for; `undefined`: all that there are. */
  readonly lookedFor: Facts | undefined;
}

/** Parses a document, and notes whether its class asked which facts are wanted: then those are all that it looked for. */
export async function readDocument(
  document: DocumentResource,
  content: Content,
  { needs, ...context }: VerifyContext,
): Promise<Reading> {
  let lookedFor: Facts | undefined;
  const parsed = await document.parse(content, {
    ...context,
    get needs() {
      return (lookedFor = needs);
    },
  });
  return { parsed, lookedFor };
}

/** Descriptions from the documents of one repository, in memory. */
export class KnownDescriptions {
  readonly #known = new Lru<Reading>(MAX_BYTES, ({ parsed }) => parsed.weight + OVERHEAD);

  /** Finds the reading of the document with `digest`, if it looked for all that policy needs. */
  get(documentKey: string, digest: Digest, needs: Facts): Reading | undefined {
    const reading = this.#known.get(keyOf(documentKey, digest));
    return reading !== undefined && covers(reading.lookedFor, needs) ? reading : undefined;
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
