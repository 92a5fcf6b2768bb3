import type { BlobInfo, BlobStore, Clock, Entry, Logger } from '@entrepot/core';
import { messageOf } from '@entrepot/core';
import { type Healing, inspectBlob, type SharedStorage, takeOut } from '@entrepot/core/engine';
import type { SqlBlobCatalogue } from '../drivers/sql/blob-catalogue.js';
import type { SqlVerificationStore } from '../drivers/sql/verification-store.js';
import { type LostCondition, LostList } from './lost-entries.js';

/** The number of entries of one blob that are looked at. */
const MOST_ENTRIES = 1_000;
/** The number of those whose upstreams are asked for the bytes. */
const MOST_TRIES = 10;

const NOT_SERVED: Healing = { outcome: 'unreachable', reason: 'its repository is not served' };

/** Fetches the bytes of an entry again. `undefined`: its repository is not served. */
export type Heal = (entry: Entry, signal: AbortSignal) => Promise<Healing | undefined>;

export interface HealerServices {
  readonly store: SqlVerificationStore;
  readonly catalogue: Pick<SqlBlobCatalogue, 'damaged' | 'flush'>;
  readonly blobs: BlobStore;
  /** The memory of this process in front of the store; `undefined`: it serves nothing. */
  memory(): SharedStorage['blobs'] | undefined;
  /** Whether a repository has an upstream. `undefined`: there is no such repository any more. */
  isProxy(repository: string): boolean | undefined;
  /** Absent: nothing is served here. */
  readonly heal?: Heal | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Takes damaged blobs out of the store, and gets their bytes back: from memory, or from the upstream. */
export class Healer {
  /** Lost bytes of uploads. */
  readonly hosted = new LostList();
  /** Lost bytes that came from an upstream, and could not be fetched again. */
  readonly proxied = new LostList();
  readonly #services: HealerServices;
  readonly #mayFetch: boolean;
  readonly #signal: AbortSignal;

  /** @param mayFetch whether upstreams are asked */
  constructor(services: HealerServices, mayFetch: boolean, signal: AbortSignal) {
    this.#services = services;
    this.#mayFetch = mayFetch;
    this.#signal = signal;
  }

  /** Takes a blob out of the store, so that nobody is served from it. @returns `false` where it was put again meanwhile */
  async takeOut({ digest }: BlobInfo): Promise<boolean> {
    const { blobs, catalogue, logger } = this.#services;
    if (!(await takeOut(blobs, digest))) return false;
    logger.error({ digest }, 'a blob is damaged or missing; it is out of the store');
    await catalogue.damaged(digest);
    return true;
  }

  /**
   * Gets the bytes of a lost blob back, else lists the entries that have lost them.
   * @returns whether they are there again
   */
  async heal(blob: BlobInfo, condition: LostCondition): Promise<boolean> {
    const { blobs, clock, memory, store } = this.#services;
    if ((await inspectBlob(blobs, blob)) === 'intact') {
      // Somebody else has put it again.
      await store.found(blob.digest, clock.now());
      return true;
    }
    const entries = await store.entriesOf(blob.digest, MOST_ENTRIES);
    const reasons = new Map<Entry, string>();
    const [first] = entries;
    if (first !== undefined && (await this.#restore(first, blob))) return true;
    for (const entry of this.#mayFetch ? entries.slice(0, MOST_TRIES) : []) {
      const healing = await this.#fetch(entry);
      if (healing?.outcome === 'healed') return true;
      if (healing !== undefined) reasons.set(entry, healing.reason);
    }
    memory()?.forget(blob.digest);
    this.#list(blob, entries, condition, reasons);
    return false;
  }

  /** Lists the entries that point at a blob. */
  async list(blob: BlobInfo, condition: LostCondition): Promise<void> {
    this.#list(blob, await this.#services.store.entriesOf(blob.digest, MOST_ENTRIES), condition);
  }

  /** Puts a blob from memory. */
  async #restore({ repository }: Entry, blob: BlobInfo): Promise<boolean> {
    const { logger, memory } = this.#services;
    try {
      return (await memory()?.restore(repository, blob)) === true;
    } catch (error) {
      logger.warn({ error, digest: blob.digest }, 'a damaged blob could not be put again');
      return false;
    }
  }

  async #fetch(entry: Entry): Promise<Healing | undefined> {
    const { heal, logger } = this.#services;
    if (heal === undefined || !this.#isProxied(entry)) return undefined;
    try {
      return (await heal(entry, this.#signal)) ?? NOT_SERVED;
    } catch (error) {
      this.#signal.throwIfAborted();
      logger.warn({ error, repository: entry.repository, key: entry.key }, 'a damaged blob could not be fetched again');
      return { outcome: 'unreachable', reason: messageOf(error) };
    }
  }

  #list(
    blob: BlobInfo,
    entries: readonly Entry[],
    condition: LostCondition,
    reasons: ReadonlyMap<Entry, string> = new Map(),
  ): void {
    for (const entry of entries)
      (this.#isProxied(entry) ? this.proxied : this.hosted).add(entry, blob, { condition, reason: reasons.get(entry) });
  }

  #isProxied({ repository, upstreamUrl }: Entry): boolean {
    return this.#services.isProxy(repository) ?? upstreamUrl !== undefined;
  }
}
