/** Joins ids that name one thing: `aliases` are symmetric and transitive, whatever records say of it. */
export class AliasGroups {
  readonly #numbers = new Map<string, number>();
  readonly #ids: string[] = [];
  readonly #parents: number[] = [];

  /** The number of `id`, from 0. */
  add(id: string): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const number = this.#ids.length;
    this.#numbers.set(id, number);
    this.#ids.push(id);
    this.#parents.push(number);
    return number;
  }

  join(one: string, other: string): void {
    const first = this.root(this.add(one));
    const second = this.root(this.add(other));
    this.#parents[Math.max(first, second)] = Math.min(first, second);
  }

  /** The number that stands for the whole group of `number`. */
  root(number: number): number {
    let root = number;
    for (let parent = this.#parents[root] as number; parent !== root; parent = this.#parents[root] as number) {
      // Halves the way for those who come later.
      this.#parents[root] = this.#parents[parent] as number;
      root = parent;
    }
    return root;
  }

  /** Groups of several ids, by their root. */
  groups(): Map<number, string[]> {
    const groups = new Map<number, string[]>();
    for (const [number, id] of this.#ids.entries()) {
      const root = this.root(number);
      if (root === number) continue;
      const group = groups.get(root);
      if (group === undefined) groups.set(root, [this.#ids[root] as string, id]);
      else group.push(id);
    }
    return groups;
  }
}
