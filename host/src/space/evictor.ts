import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, Digest } from '@entrepot/core';
import {
  ALL_BLOBS,
  FIRST_PLACE,
  SMALL_BLOBS,
  type Candidate,
  type KeptEntry,
  type SqlEvictionStore,
} from '../drivers/sql/eviction-store.js';
import { type Deleted, type Deletion, digestsOf, NOTHING, sumOf } from './deletion.js';
import type { Pins } from './pins.js';
import type { Scope } from './quotas.js';

/** The number of blobs or entries that are looked at together. */
const BATCH = 200;
/** Blobs below this size are small; the database counts them. Bytes. */
const SMALL = 512 * 1024;
/** The part of the bound that small blobs have for themselves: they are asked for most often, and take the least room. */
const SMALL_SHARE = 0.2;

/** Entries that the evictor keeps its hands off. */
export interface Protected {
  readonly pins: Pins;
  /** Whether entries of a repository may go: it is a proxy. `undefined`: there is no such repository any more. */
  isProxy(repository: string): boolean | undefined;
  /** Keys of entries of a repository that stay, since what it publishes names them. */
  heldKeys(repository: string): Promise<ReadonlySet<string>>;
}

/** Told of entries that are gone, so that memory forgets them. */
export type Forget = (entries: readonly KeptEntry[]) => void;

/**
 * Makes room, by SIEVE (Zhang and others, NSDI 2024): a hand goes from the oldest to the newest, over and over. What was served since
 * it passed last is spared once, everything else goes. Only what an upstream has goes, and what nobody needs.
 */
export class Evictor {
  readonly #store: SqlEvictionStore;
  readonly #deletion: Deletion;
  readonly #protected: Protected;
  readonly #clock: Clock;
  readonly #forget: Forget;

  constructor(store: SqlEvictionStore, deletion: Deletion, kept: Protected, clock: Clock, forget: Forget) {
    this.#store = store;
    this.#deletion = deletion;
    this.#protected = kept;
    this.#clock = clock;
    this.#forget = forget;
  }

  /**
   * Frees bytes until a scope has at most `target`, or there is nothing left that may go.
   * @returns what was deleted
   */
  async shrink(scope: Scope, target: number): Promise<Deleted> {
    let sum = NOTHING;
    const steps = [() => this.#condemned(scope), () => this.#expired(scope)];
    for (const step of steps) {
      for (;;) {
        if ((await this.#store.bytesOf(scope.name)) <= target) return sum;
        const freed = await step();
        if (freed === undefined) break;
        sum = sumOf(sum, freed);
      }
    }
    return sumOf(sum, await this.#sieve(scope, target));
  }

  /** Deletes what is condemned already. @returns `undefined` when there is none left */
  async #condemned({ name }: Scope): Promise<Deleted | undefined> {
    if (name !== ALL_BLOBS) return undefined;
    const deleted = await this.#deletion.run({ before: this.#clock.now(), limit: BATCH });
    return deleted.blobs === 0 ? undefined : deleted;
  }

  /** Evicts entries that are past their age. @returns `undefined` when there is none left */
  async #expired({ name }: Scope): Promise<Deleted | undefined> {
    const found = await this.#store.expired(name === ALL_BLOBS ? undefined : name, this.#clock.now(), BATCH);
    const { removed, deleted } = await this.#evict(await this.#evictable(found), []);
    return removed === 0 ? undefined : deleted;
  }

  async #sieve(scope: Scope, target: number): Promise<Deleted> {
    let sum = NOTHING;
    let hand = await this.#store.hand(scope.name);
    // The first round may find everything visited, the second finds nothing so; the start lies in the middle of one.
    for (let rounds = 0; rounds < 3;) {
      const over = (await this.#store.bytesOf(scope.name)) - target;
      if (over <= 0) break;
      // An embedded database works on the event loop.
      await turn();
      const page = await this.#pageFrom(scope, hand);
      const { freed, last } = await this.#pass(scope, page, over);
      sum = sumOf(sum, freed);
      if (page.length < BATCH && last === page.at(-1)) {
        hand = FIRST_PLACE;
        rounds += 1;
      } else hand = last?.place ?? FIRST_PLACE;
      await this.#store.moveHand(scope.name, hand);
    }
    return sum;
  }

  #pageFrom({ name }: Scope, hand: Candidate['place']): Promise<readonly Candidate[]> {
    return name === ALL_BLOBS ? this.#store.blobsFrom(hand, BATCH) : this.#store.entriesFrom(name, hand, BATCH);
  }

  /** Lets the hand pass candidates, until `over` bytes are free. @returns also the last one that it passed */
  async #pass(
    { name, bound }: Scope,
    page: readonly Candidate[],
    over: number,
  ): Promise<{ readonly freed: Deleted; readonly last: Candidate | undefined }> {
    const all = await this.#store.entriesOf(digestsOf(page));
    const entries = name === ALL_BLOBS ? all : all.filter(({ repository }) => repository === name);
    const mayGo = new Set(await this.#evictable(entries));
    const kept = new Set(entries.filter((entry) => !mayGo.has(entry)).map(nameIn(name)));
    const smallMayGo = name !== ALL_BLOBS || (await this.#store.bytesOf(SMALL_BLOBS)) > bound * SMALL_SHARE;
    const spared: Digest[] = [];
    const chosen: Candidate[] = [];
    let free = 0;
    let last: Candidate | undefined;
    for (const candidate of page) {
      if (free >= over) break;
      last = candidate;
      if (candidate.visited) spared.push(candidate.digest);
      else if (
        !kept.has(nameIn(name)({ ...candidate, key: candidate.place.key })) &&
        (smallMayGo || candidate.size >= SMALL)
      ) {
        chosen.push(candidate);
        free += candidate.size;
      }
    }
    await this.#store.passed(spared);
    const names = new Set(chosen.map((candidate) => nameIn(name)({ ...candidate, key: candidate.place.key })));
    const going = entries.filter((entry) => names.has(nameIn(name)(entry)));
    const { deleted } = await this.#evict(going, name === ALL_BLOBS ? digestsOf(chosen) : []);
    return { freed: deleted, last };
  }

  /** Those of `entries` that may go. */
  async #evictable(entries: readonly KeptEntry[]): Promise<readonly KeptEntry[]> {
    const isPinned = await this.#protected.pins.matcher();
    const held = new Map<string, ReadonlySet<string>>();
    for (const { repository } of entries)
      if (!held.has(repository)) held.set(repository, await this.#protected.heldKeys(repository));
    return entries.filter((entry) => {
      const isProxy = this.#protected.isProxy(entry.repository) ?? entry.isFetched;
      return isProxy && !isPinned(entry) && held.get(entry.repository)?.has(entry.key) !== true;
    });
  }

  /** Removes entries, and deletes blobs that nobody needs any more at once. */
  async #evict(
    entries: readonly KeptEntry[],
    blobs: readonly Digest[],
  ): Promise<{ readonly removed: number; readonly deleted: Deleted }> {
    if (entries.length === 0 && blobs.length === 0) return { removed: 0, deleted: NOTHING };
    const { removed, condemned } = await this.#store.evict(entries, blobs, this.#clock.now());
    this.#forget(removed);
    const deleted = await this.#deletion.run({ digests: digestsOf(condemned) });
    return { removed: removed.length, deleted };
  }
}

/** Names a candidate in its scope: a blob, or an entry of a repository. */
function nameIn(scope: string) {
  return ({ digest, key }: { readonly digest: Digest; readonly key: string }): string =>
    scope === ALL_BLOBS ? digest : key;
}
