import { createHash } from 'node:crypto';
import type { Clock } from '../../api/clock.js';
import type { EntryIndex } from '../../api/entry-index.js';
import type { Logger } from '../../api/logger.js';
import { Lru } from '../../formats/lru.js';
import { inTime, LATE } from './in-time.js';

/** The time for which another replica's entries may go unseen; milliseconds. Those of this one are seen at once. */
const FRESH_FOR = 60_000;
/** The time that a request waits for newer keys when older ones are in memory; milliseconds. */
const PATIENCE = 500;
const PAGE = 1000;

/** The keys that are kept below a prefix. */
export interface KeptKeys {
  /** In code-point order. */
  readonly keys: readonly string[];
  /** Differs when the keys do; the same after a restart and on every replica. */
  readonly mark: string;
}

/** Caches the stored keys below prefixes that end in `/`, in bounded memory: a repeated request causes no query. */
export class KeptKeysCache {
  readonly #index: EntryIndex;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known: Lru<KeptKeys & { readonly readAt: number }>;
  readonly #reading = new Map<string, Promise<KeptKeys>>();

  constructor(index: EntryIndex, maxKeys: number, clock: Clock, logger: Logger) {
    this.#index = index;
    this.#clock = clock;
    this.#logger = logger;
    this.#known = new Lru(maxKeys, ({ keys }) => keys.length + 1);
  }

  /** The keys in memory. `undefined` tells nothing. */
  peek(repository: string, prefix: string): KeptKeys | undefined {
    const known = this.#known.get(cacheKey(repository, prefix));
    return known !== undefined && this.#clock.monotonic() - known.readAt < FRESH_FOR ? known : undefined;
  }

  async find(repository: string, prefix: string): Promise<KeptKeys> {
    const known = this.peek(repository, prefix);
    if (known !== undefined) return known;
    const place = cacheKey(repository, prefix);
    const reading = this.#reading.get(place) ?? this.#start(repository, prefix);
    const older = this.#known.get(place);
    if (older === undefined) return await reading;
    try {
      const found = await inTime(reading, PATIENCE);
      return found === LATE ? older : found;
    } catch (error) {
      this.#logger.warn({ error, repository, prefix }, 'the list of entries cannot be read; an older one is used');
      return older;
    }
  }

  #start(repository: string, prefix: string): Promise<KeptKeys> {
    const place = cacheKey(repository, prefix);
    const readAt = this.#clock.monotonic();
    // Unless a key was put meanwhile, which this may have missed.
    const isCurrent = (): boolean => this.#reading.get(place) === reading;
    const reading = this.#read(repository, prefix)
      .then((found) => {
        if (isCurrent()) this.#known.set(place, { ...found, readAt });
        return found;
      })
      .finally(() => {
        if (isCurrent()) this.#reading.delete(place);
      });
    reading.catch(() => {});
    this.#reading.set(place, reading);
    return reading;
  }

  /** Takes note that `key` was put or removed. */
  changed(repository: string, key: string): void {
    for (let at = key.indexOf('/'); at !== -1; at = key.indexOf('/', at + 1)) {
      const place = cacheKey(repository, key.slice(0, at + 1));
      this.#known.delete(place);
      this.#reading.delete(place);
    }
  }

  /** Takes note that any key may have been put or removed. */
  forgetAll(): void {
    this.#known.clear();
    this.#reading.clear();
  }

  async #read(repository: string, prefix: string): Promise<KeptKeys> {
    const keys: string[] = [];
    for (;;) {
      const page = await this.#index.list(repository, { prefix, after: keys.at(-1), limit: PAGE });
      keys.push(...page.map(({ key }) => key));
      if (page.length < PAGE) break;
    }
    return { keys, mark: createHash('sha256').update(keys.join('\n')).digest('base64url').slice(0, 22) };
  }
}

function cacheKey(repository: string, prefix: string): string {
  return `${repository}\n${prefix}`;
}
