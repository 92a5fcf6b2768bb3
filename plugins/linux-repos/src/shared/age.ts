import { createHash } from 'node:crypto';
import type { Clock } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import type { Format, Listing } from './format.js';
import { mainOf, type Kept } from './generations.js';

/** Limit of how far the clock of an archive or a mirror may be ahead; milliseconds. */
const FUTURE = 600_000;

/** The generation that was published last, for comparisons with what a mirror has. */
export interface Newest {
  /** Milliseconds since the epoch. */
  readonly date: number | undefined;
  /** SHA-256 of its main document. */
  readonly sha256: string;
  /** Sums of generations before it. */
  readonly earlier: ReadonlySet<string>;
}

/** Reads the newest of the generations that are kept. */
export function newestOf({ list }: Pick<Kept, 'list'>, root: string, format: Format): Newest | undefined {
  const [sha256, ...earlier] = list.map(({ pointers }) => mainOf(format, root, pointers).sha256);
  return sha256 === undefined ? undefined : { date: list[0]?.date, sha256, earlier: new Set(earlier) };
}

/** A document of a mirror that tells its age. */
interface Aged {
  /** Absent: its format lists no files. */
  readonly listing?: Pick<Listing, 'date' | 'validUntil'> | undefined;
  /** The headers that it came with, by lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  stream(): AsyncIterable<Uint8Array>;
}

/**
 * Reads the date of a main document: that within it, else the time at which it was changed on its mirror. `undefined`: there is neither,
 * or the clock of the mirror is wrong.
 */
export function dateOf({ listing, headers }: Pick<Aged, 'listing' | 'headers'>, now: number): number | undefined {
  if (listing?.date !== undefined) return listing.date;
  const changed = Date.parse(headers['last-modified'] ?? '');
  return changed <= now + FUTURE ? changed : undefined;
}

/** A proxy, as far as ages are held to it. */
interface Dated {
  readonly clock: Clock;
  readonly options: { readonly allowRollback: boolean };
  /** By roots. */
  readonly newest: ReadonlyMap<string, Newest>;
}

/** @throws EntrepotError `upstream-unavailable` for a main document that clients would refuse, or that is older than the last one */
export async function requireInTime(found: Aged, root: string, name: string, self: Dated): Promise<void> {
  const now = self.clock.now();
  const { date: own, validUntil } = found.listing ?? {};
  if (validUntil !== undefined && validUntil < now)
    throw malformed(name, `it was valid until ${new Date(validUntil).toISOString()}`);
  if (own !== undefined && own > now + FUTURE)
    throw malformed(name, `its date ${new Date(own).toISOString()} is in the future`);
  const newest = self.newest.get(root);
  if (self.options.allowRollback || newest === undefined) return;
  const date = dateOf(found, now);
  const isOlder = newest.date !== undefined && (date ?? (found.listing && 0) ?? Infinity) < newest.date;
  if (own !== undefined && !isOlder) return;
  // Mirrors give the same bytes other dates; and those of before are no newer for having been copied later.
  const sha256 = own === undefined ? await sumOf(found.stream()) : '';
  if (sha256 === newest.sha256) return;
  if (isOlder)
    throw malformed(name, `it is older than the one of ${new Date(newest.date as number).toISOString()} that is known`);
  if (newest.earlier.has(sha256)) throw malformed(name, 'it is one that was replaced here by a newer one');
}

async function sumOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of stream) hash.update(piece);
  return hash.digest('hex');
}
