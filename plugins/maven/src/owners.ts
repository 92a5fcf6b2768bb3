import type { Clock } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';

/** The bound on listed versions that are remembered, of all artifacts together. */
const MOST_VERSIONS = 200_000;
/** The time for which lists tell who has a version: metadata is merged anew by then where anybody asks for it; milliseconds. */
const GOOD_FOR = 600_000;

interface Lists {
  readonly until: number;
  /** Versions by the URL of the upstream whose metadata lists them. */
  readonly versions: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * The upstreams that have versions, by the metadata of each. A version that only some list is asked of these: also while another one is
 * down, and without a request to those that lack it.
 */
export class Owners {
  readonly #clock: Clock;
  readonly #lists = new Lru<Lists>(MOST_VERSIONS, ({ versions }) =>
    [...versions.values()].reduce((sum, { size }) => sum + size, 1),
  );

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes the versions of an artifact that each upstream lists. One that is missing here is not known to lack any. */
  note(name: string, versions: ReadonlyMap<string, ReadonlySet<string>>): void {
    this.#lists.set(name, { until: this.#clock.monotonic() + GOOD_FOR, versions });
  }

  /** The `upstreams` that list a version. `undefined`: it is not known of all of them, or none does. */
  of(name: string, version: string, upstreams: readonly string[]): readonly string[] | undefined {
    const lists = this.#lists.get(name);
    if (lists === undefined || lists.until <= this.#clock.monotonic()) return undefined;
    if (!upstreams.every((url) => lists.versions.has(url))) return undefined;
    const having = upstreams.filter((url) => lists.versions.get(url)?.has(version));
    return having.length === 0 ? undefined : having;
  }
}
