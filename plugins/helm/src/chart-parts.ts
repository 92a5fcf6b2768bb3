import type { IndexEntry } from './index-fragment.js';
import { newestFirst } from './version-order.js';

/** The most versions of a part. A version that comes or goes costs the writing of one part, however many its chart has. */
export const PART_VERSIONS = 32;

/** A stored part of the versions of a chart. */
export interface KeptPart {
  /** 0, or any other; no two parts of a chart have one. */
  readonly number: number;
  /** Newest first, and all of them newer, or all older, than those of another part. Never empty. */
  readonly versions: readonly string[];
  /** Reads the entries of the versions. */
  read(): Promise<readonly IndexEntry[]>;
}

interface Part extends KeptPart {
  /** Absent: as they are stored. */
  readonly entries?: readonly IndexEntry[];
}

type WrittenPart = Required<Pick<Part, 'number' | 'entries'>>;

/** The versions of one chart, in parts. As long as there is any, one of the parts has the number 0. */
export class ChartParts {
  readonly #kept: ReadonlySet<number>;
  /** Newest first. */
  #parts: Part[];

  constructor(kept: readonly KeptPart[]) {
    this.#kept = new Set(kept.map(({ number }) => number));
    this.#parts = inOrder(kept, ({ versions }) => versions);
  }

  /** Reads all versions, newest first. */
  async all(): Promise<IndexEntry[]> {
    const lists: (readonly IndexEntry[])[] = [];
    for (const part of this.#parts) lists.push(await part.read());
    return lists.flat();
  }

  /** Puts a version, in place of one that is spelled the same. */
  async put(entry: IndexEntry): Promise<void> {
    const at = this.#placeOf(entry.version);
    const part = this.#parts[at];
    if (part === undefined) return this.#replace(at, [{ number: 0, entries: [entry] }]);
    const before = await part.read();
    const entries = newestFirst([...before.filter(({ version }) => version !== entry.version), entry]);
    if (entries.length <= PART_VERSIONS) return this.#replace(at, [{ number: part.number, entries }]);
    const [head, ...rest] = entries;
    // Versions come in their order: a full part of older ones is left as it is.
    if (at === 0 && head === entry && rest.length === before.length)
      return this.#replace(at, [{ number: this.#freeNumber(), entries: [entry] }], 0);
    const cut = Math.ceil(entries.length / 2);
    this.#replace(at, [
      { number: part.number, entries: entries.slice(0, cut) },
      { number: this.#freeNumber(), entries: entries.slice(cut) },
    ]);
  }

  async remove(version: string): Promise<void> {
    const at = this.#parts.findIndex(({ versions }) => versions.includes(version));
    const part = this.#parts[at];
    if (part === undefined) return;
    const entries = (await part.read()).filter((entry) => entry.version !== version);
    this.#replace(at, entries.length === 0 ? [] : [{ number: part.number, entries }]);
  }

  /** Lists the parts to write, and those to remove. */
  async changes(): Promise<{ readonly put: readonly WrittenPart[]; readonly remove: readonly number[] }> {
    const [first] = this.#parts;
    if (first !== undefined && !this.#parts.some(({ number }) => number === 0))
      this.#replace(0, [{ number: 0, entries: await first.read() }]);
    const put = this.#parts.flatMap(({ number, entries }) => (entries === undefined ? [] : [{ number, entries }]));
    const left = new Set(this.#parts.map(({ number }) => number));
    return { put, remove: [...this.#kept].filter((number) => !left.has(number)) };
  }

  #replace(at: number, parts: readonly WrittenPart[], replaced = 1): void {
    const made = parts.map(({ number, entries }) => {
      return { number, entries, versions: entries.map(({ version }) => version), read: async () => entries };
    });
    this.#parts = this.#parts.toSpliced(at, replaced, ...made);
  }

  /** Finds the part that a version belongs to. */
  #placeOf(version: string): number {
    const known = this.#parts.findIndex(({ versions }) => versions.includes(version));
    if (known >= 0) return known;
    const heads = newestFirst([
      { version },
      ...this.#parts.map(({ versions }) => ({ version: versions[0] as string })),
    ]);
    return Math.max(0, heads.findIndex((head) => head.version === version) - 1);
  }

  #freeNumber(): number {
    const taken = new Set([...this.#kept, ...this.#parts.map(({ number }) => number)]);
    let number = 0;
    while (taken.has(number)) number += 1;
    return number;
  }
}

/** Sorts the parts of one chart, newest versions first. */
export function inOrder<Some>(parts: readonly Some[], versionsOf: (part: Some) => readonly string[]): Some[] {
  return newestFirst(parts.map((part) => ({ version: versionsOf(part)[0] as string, part }))).map(({ part }) => part);
}
