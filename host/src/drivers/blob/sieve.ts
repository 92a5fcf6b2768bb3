/**
 * The order in which members of a cache go: a hand goes from the oldest to the newest, over and over; what was used since it passed
 * last is spared once (SIEVE, NSDI 2024).
 */
export class Sieve<Key> {
  /** From the oldest to the newest. */
  readonly #members = new Map<Key, { readonly size: number; isUsed: boolean }>();
  #hand: MapIterator<Key> | undefined;
  #bytes = 0;

  /** The bytes of all members. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The size of a member, which counts as used from now on. `undefined`: it is none. */
  use(key: Key): number | undefined {
    const member = this.#members.get(key);
    if (member === undefined) return undefined;
    member.isUsed = true;
    return member.size;
  }

  add(key: Key, size: number): void {
    this.remove(key);
    this.#members.set(key, { size, isUsed: false });
    this.#bytes += size;
  }

  /** @returns whether it was a member */
  remove(key: Key): boolean {
    const member = this.#members.get(key);
    if (member === undefined) return false;
    this.#members.delete(key);
    this.#bytes -= member.size;
    return true;
  }

  /** Takes out the member that goes next. `undefined`: there is none. */
  evict(): Key | undefined {
    while (this.#members.size > 0) {
      // The iterator of a map lives through changes of the map.
      this.#hand ??= this.#members.keys();
      const { done = false, value } = this.#hand.next();
      if (done) {
        this.#hand = undefined;
        continue;
      }
      const key = value as Key;
      const member = this.#members.get(key);
      if (member?.isUsed === true) {
        member.isUsed = false;
        continue;
      }
      this.remove(key);
      return key;
    }
    return undefined;
  }
}
