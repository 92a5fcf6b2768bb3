import { Lru } from '../../formats/lru.js';
import type { Content } from '../../api/content.js';
import type { Digest } from '../../api/digest.js';
import type { FactName } from '../../api/facts.js';
import type { Descriptions, EngineProtocol, HookContext } from '../request/protocol.js';
import type { DocumentResource } from '../request/resource.js';

/** How many single descriptions are kept parsed, over all documents of a repository. */
const MAX_DESCRIPTIONS = 50_000;

type Facts = ReadonlySet<FactName>;

/** Result of reading a document. */
export interface Reading {
  readonly descriptions: Descriptions;
  /** The facts that were looked for; `undefined`: all that there are. */
  readonly lookedFor: Facts | undefined;
}

/** Has `protocol` read a document, and notes whether it asked which facts are wanted: then those are all that it looked for. */
export async function readDescriptions(
  protocol: EngineProtocol,
  document: DocumentResource,
  content: Content,
  { needs, ...context }: HookContext,
): Promise<Reading> {
  let lookedFor: Facts | undefined;
  const descriptions = await protocol.describe?.(document, content, {
    ...context,
    get needs() {
      return (lookedFor = needs);
    },
  });
  return { descriptions: descriptions ?? new Map(), lookedFor };
}

/** Descriptions from the documents of one repository, in memory. */
export class KnownDescriptions {
  readonly #known = new Lru<Reading>(MAX_DESCRIPTIONS, ({ descriptions }) => descriptions.size + 1);

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
