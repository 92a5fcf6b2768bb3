/** Caches that are bounded in bytes and hold no content, for replaying a trace. */

/** Objects below this many bytes are small. */
export const SMALL = 512 * 1024;

/**
 * A bounded cache.
 * `share` (0 to 1): while all small objects together take less than this share of the bound, none of them is evicted as long as there is
 * another one. `low` (0 to 1): an eviction makes room down to this share of the bound.
 */
export class BoundedCache {
  #bound;
  #order;
  #share;
  #low;
  #entries = new Map();
  #used = 0;
  #smallBytes = 0;
  #largeCount = 0;

  constructor(bound, order, { share = 0, low = 1 } = {}) {
    this.#bound = bound;
    this.#order = order;
    this.#share = share * bound;
    this.#low = low * bound;
  }

  /** The keys of what is held, in the order in which it was put. */
  get keys() {
    return [...this.#entries.keys()];
  }

  /** Asks for an object, and puts it when it is absent. One above the bound is not put. Gives whether it was there. */
  request(key, size) {
    const found = this.#entries.get(key);
    if (found !== undefined) {
      this.#order.hit(found);
      return true;
    }
    if (size > this.#bound) return false;
    if (this.#used + size > this.#bound) this.#makeRoom(Math.max(0, this.#low - size));
    const entry = { key, size, isSmall: size < SMALL };
    this.#entries.set(key, entry);
    this.#count(entry, 1);
    this.#order.add(entry);
    return false;
  }

  #makeRoom(target) {
    while (this.#used > target) {
      const entry = this.#order.take(this.#smallBytes < this.#share && this.#largeCount > 0);
      this.#entries.delete(entry.key);
      this.#count(entry, -1);
    }
  }

  #count({ size, isSmall }, sign) {
    this.#used += sign * size;
    if (isSmall) this.#smallBytes += sign * size;
    else this.#largeCount += sign;
  }
}

/** Takes what was put first (FIFO); with `renews` what was asked for least recently (LRU). */
export class Oldest {
  #renews;
  #queues = { small: new Map(), large: new Map() };
  #stamp = 0;

  constructor({ renews }) {
    this.#renews = renews;
  }

  add(entry) {
    this.#stamp += 1;
    this.#queueOf(entry).set(entry, this.#stamp);
  }

  hit(entry) {
    if (!this.#renews) return;
    this.#queueOf(entry).delete(entry);
    this.add(entry);
  }

  /** Removes the next one. `sparesSmall`: a small object is passed over. */
  take(sparesSmall) {
    const [small, smallStamp = Infinity] = sparesSmall ? [] : (first(this.#queues.small) ?? []);
    const [large, largeStamp = Infinity] = first(this.#queues.large) ?? [];
    const entry = smallStamp < largeStamp ? small : large;
    this.#queueOf(entry).delete(entry);
    return entry;
  }

  #queueOf({ isSmall }) {
    return isSmall ? this.#queues.small : this.#queues.large;
  }
}

function first(queue) {
  return queue.entries().next().value;
}

/**
 * SIEVE: insertion order, one visited bit, and a hand that moves from the oldest to the newest and begins again. A hit sets the bit; the
 * hand clears bits, and takes the first object without one.
 */
export class Sieve {
  #bornVisited;
  #oldest;
  #newest;
  #hand;

  /** `bornVisited`: the first request sets the bit too, as where a miss is noted like a hit. */
  constructor({ bornVisited = false } = {}) {
    this.#bornVisited = bornVisited;
  }

  add(entry) {
    entry.visited = this.#bornVisited;
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  hit(entry) {
    entry.visited = true;
  }

  /** Removes the next one. `sparesSmall`: a small object is passed over, as a visited one is. */
  take(sparesSmall) {
    let entry = this.#hand ?? this.#oldest;
    const isSpared = ({ visited, isSmall }) => visited || (sparesSmall && isSmall);
    while (isSpared(entry)) {
      entry.visited = false;
      entry = entry.newer ?? this.#oldest;
    }
    this.#hand = entry.newer;
    this.#unlink(entry);
    return entry;
  }

  #unlink({ older, newer }) {
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
  }
}
