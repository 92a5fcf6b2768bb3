import { createHash } from 'node:crypto';
import type { Clock } from '../../api/clock.js';
import type { HotCache } from '../../api/hot-cache.js';
import { isRecord, parseJson } from '../../formats/json-values.js';
import type { Encoding, Rendition, SharedRendition } from './renditions.js';

/** The longest that a document is shared, in milliseconds. */
const LONGEST = 600_000;

/** A rendition as it is shared: before its body, which is in base64. */
type Head = Pick<Rendition, 'etag' | 'lastModified' | 'changesAt' | 'headers'>;

/** The sources of a rendition. */
export interface SharedSource {
  /** Names all of it, by words that are the same in all processes. */
  readonly name: readonly unknown[];
  readonly encoding: Encoding;
  /** Whether the name still says it. */
  isCurrent(): boolean;
}

/**
 * Rewritten documents that the processes over one store share, so that a cold one does not make again what another one has made. Their
 * names say all that they are made from: whatever changes makes another name.
 */
export class SharedRenditions {
  readonly #cache: HotCache;
  readonly #clock: Clock;

  constructor(cache: HotCache, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** The place of one rendition. @param stamp as `Renditions` takes it */
  at({ name, encoding, isCurrent }: SharedSource, stamp = ''): SharedRendition {
    const digest = createHash('sha256')
      .update(JSON.stringify([name, encoding]))
      .digest('base64url');
    const key = `document:${digest}`;
    return {
      find: async () => readRendition(await this.#cache.get(key), encoding, stamp, this.#clock.now()),
      keep: (rendition) => {
        const left = Math.min(LONGEST, (rendition.changesAt ?? Infinity) - this.#clock.now());
        const value = left > 0 && isCurrent() ? printRendition(rendition) : undefined;
        if (value !== undefined) void this.#cache.set(key, value, left);
      },
    };
  }
}

function printRendition({ bytes, etag, lastModified, changesAt, headers }: Rendition): string | undefined {
  if (bytes === undefined) return undefined;
  const head: Head = { etag, lastModified, changesAt, headers };
  return `${JSON.stringify(head)}\n${bytes.toString('base64')}`;
}

function readRendition(
  value: string | undefined,
  encoding: Encoding,
  stamp: string,
  now: number,
): Rendition | undefined {
  const at = value?.indexOf('\n') ?? -1;
  if (value === undefined || at === -1) return undefined;
  const head = parseJson(value.slice(0, at));
  if (!isHead(head) || (head.changesAt !== undefined && head.changesAt <= now)) return undefined;
  const bytes = Buffer.from(value.slice(at + 1), 'base64');
  return { ...head, encoding, size: bytes.length, bytes, stamp };
}

function isHead(value: unknown): value is Head {
  if (!isRecord(value) || typeof value['etag'] !== 'string') return false;
  const { changesAt, headers } = value;
  return (changesAt === undefined || typeof changesAt === 'number') && (headers === undefined || isRecord(headers));
}
