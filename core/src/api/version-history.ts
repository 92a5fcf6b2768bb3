import type { ArtifactFacts, VersionBefore } from './facts.js';

const DAY = 86_400_000;
/** The distances in time at which a version is compared with older ones: a rule looks back as far as it watches. */
const DISTANCES = [0, 1, 3, 7, 14, 30, 60, 90, 180, 365, 730, 1461, 2922].map((days) => days * DAY);

/** A version with a date, as its document tells of it. */
export interface DatedVersion extends Pick<ArtifactFacts, 'installScripts' | 'provenance' | 'publisher'> {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly publishedAt: number;
  /** Prefix that versions share when clients upgrade from one to another unasked: `2`, `0.3`. */
  readonly branch: string;
}

/** Tells of each version of a name what came before it. */
export class VersionHistory {
  readonly #byDate: readonly DatedVersion[];
  readonly #branches = new Map<string, DatedVersion[]>();
  /** The place of each version among all, and on its branch. */
  readonly #places = new Map<DatedVersion, { readonly overall: number; readonly onBranch: number }>();
  readonly #isUniform: boolean;

  constructor(versions: Iterable<DatedVersion>) {
    this.#byDate = [...versions].sort((one, other) => one.publishedAt - other.publishedAt);
    for (const [overall, version] of this.#byDate.entries()) {
      const branch = this.#branches.get(version.branch) ?? [];
      this.#branches.set(version.branch, branch);
      this.#places.set(version, { overall, onBranch: branch.push(version) - 1 });
    }
    const [first] = this.#byDate;
    this.#isUniform = first === undefined || this.#byDate.every((other) => isAlike(first, other));
  }

  /**
   * Versions before `version`, which is one of those given, newest first: some at each distance on its branch and over all, of which those that are alike
   * are told by the oldest. Empty for the first one.
   */
  before(version: DatedVersion): readonly VersionBefore[] {
    const branch = this.#branches.get(version.branch) ?? [];
    const { overall = 0, onBranch = 0 } = this.#places.get(version) ?? {};
    const found = new Set([...this.#sample(branch, onBranch), ...this.#sample(this.#byDate, overall)]);
    return [...found]
      .sort((one, other) => other.publishedAt - one.publishedAt)
      .map(({ branch: of, ...other }) => ({ ...other, sameBranch: of === version.branch }));
  }

  /** The newest version of `versions` that is so much older than `version`; else the oldest. */
  older(version: DatedVersion, distance: number): DatedVersion | undefined {
    const place = this.#places.get(version)?.overall ?? 0;
    return this.#byDate[newestUntil(this.#byDate, place, distance)] ?? (place === 0 ? undefined : this.#byDate[0]);
  }

  #sample(versions: readonly DatedVersion[], place: number): DatedVersion[] {
    const [oldest] = versions;
    if (oldest === undefined || place === 0) return [];
    if (this.#isUniform) return [oldest];
    const samples: DatedVersion[] = [];
    const take = (sample: DatedVersion): void => {
      const last = samples.at(-1);
      if (last !== undefined && isAlike(last, sample)) samples.pop();
      samples.push(sample);
    };
    for (const distance of DISTANCES) {
      const sample = versions[newestUntil(versions, place, distance)];
      if (sample === undefined) break;
      if (sample !== samples.at(-1)) take(sample);
    }
    if (samples.at(-1) !== oldest) take(oldest);
    return samples;
  }
}

/** The place of the newest version before the one at `place` that is older by at least `distance`; -1: none. */
function newestUntil(versions: readonly DatedVersion[], place: number, distance: number): number {
  const until = (versions[place]?.publishedAt ?? 0) - distance;
  let [low, high] = [0, place];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((versions[middle] as DatedVersion).publishedAt <= until) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function isAlike(one: DatedVersion, other: DatedVersion): boolean {
  return (
    one.installScripts === other.installScripts &&
    one.provenance === other.provenance &&
    one.publisher === other.publisher
  );
}
