import { EntrepotError, type ReadingContext } from '@entrepot/core';
import { compileGlob, Lru } from '@entrepot/core/formats';
import type { Generations } from './generations.js';
import { GENERATIONS, generations, rootsOf } from './resources.js';
import type { Status } from './status.js';

/** A root that was asked for, and never published. */
export interface Pending {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly error?: string | undefined;
}

/** Roots besides what is kept of them, in bounded memory: whether they may be, and who has asked. */
export class RootMemory {
  readonly #most: number;
  readonly #mayBeRoot: readonly ((path: string) => boolean)[];
  readonly #uses: Lru<number>;
  readonly #pending: Lru<Pending>;
  /** The states in which roots were served last. */
  readonly #served: Lru<Status & { readonly generation: string }>;

  constructor({ allow, most }: { readonly allow: readonly string[]; readonly most: number }) {
    this.#most = most;
    this.#mayBeRoot = allow.map((glob) => compileGlob(glob));
    this.#uses = new Lru(most);
    this.#pending = new Lru(most);
    this.#served = new Lru(most);
  }

  /** Notes that a client was given a root as it is now. */
  noteUse(root: string, now: number, { list: [current], status }: Generations): void {
    this.#uses.set(root, now);
    if (current !== undefined) this.#served.set(root, { ...status, generation: current.id });
  }

  /** Time at which a client asked for a root; milliseconds since the epoch. `undefined`: not since the start. */
  lastUse(root: string): number | undefined {
    return this.#uses.get(root);
  }

  /** The state in which a root was served last. */
  servedAs(root: string): (Status & { readonly generation: string }) | undefined {
    return this.#served.get(root);
  }

  /** Notes a root that may come to be. The least recently asked for is forgotten first. */
  await(root: string, now: number, error?: string): void {
    this.#pending.set(root, { since: this.#pending.get(root)?.since ?? now, error });
  }

  /** Forgets a root that has come to be, or that no mirror has. */
  settle(root: string): void {
    this.#pending.delete(root);
  }

  /** Roots that may come to be. */
  get pending(): Iterable<readonly [string, Pending]> {
    return this.#pending.entries();
  }

  /** @throws EntrepotError `forbidden` for a root that is not to be kept here */
  async require(root: string, context: ReadingContext): Promise<void> {
    const roots = rootsOf(await context.keys(GENERATIONS));
    if (roots.includes(root)) return;
    if (!this.#mayBeRoot.some((fits) => fits(root)))
      throw new EntrepotError('forbidden', `${JSON.stringify(root)} is not among roots.allow`, {
        code: 'ROOT_REFUSED',
      });
    if (roots.length < this.#most || (await this.#hasRoom(roots, context))) return;
    throw new EntrepotError('forbidden', `${this.#most} are kept, and roots.most allows no more`, {
      code: 'TOO_MANY_ROOTS',
    });
  }

  /** Whether there is room beside those roots that mirrors still have. */
  async #hasRoom(roots: readonly string[], context: ReadingContext): Promise<boolean> {
    if (roots.length >= 2 * this.#most) return false;
    let count = 0;
    for (const root of roots) {
      const { document } = await context.document<Generations>(generations(root, 'never'));
      if (document.status.state !== 'removed') count += 1;
    }
    return count < this.#most;
  }
}
