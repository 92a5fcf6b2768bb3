import { parse } from '@renovatebot/pep440';
import { compareLists, LONGEST_VERSION, type VersionOrder } from './version-order.js';

type Letter = readonly [string, number] | null;

/** A version as a tuple whose parts compare in order (PEP 440, "Summary of permitted suffixes and relative ordering"). */
interface Pep440Key {
  readonly epoch: number;
  readonly release: readonly number[];
  /** The rank of the letter and its number. */
  readonly pre: readonly [number, number];
  readonly post: number;
  readonly dev: number;
  /** `undefined`: no local version, which sorts first. */
  readonly local: readonly (string | number)[] | undefined;
}

/** What the parser gives; its types describe another form. */
interface Parsed {
  readonly epoch: number;
  readonly release: readonly number[];
  readonly pre: Letter;
  readonly post: Letter;
  readonly dev: Letter;
  readonly local: readonly (string | number)[] | null;
}

const PRE_RANK: Readonly<Record<string, number>> = { a: 0, b: 1, rc: 2 };

/** Python: PEP 440. */
export const pep440Order: VersionOrder<Pep440Key> = {
  parse(text) {
    if (text.length > LONGEST_VERSION) return undefined;
    const parsed = parse(text) as unknown as Parsed | null;
    if (parsed === null) return undefined;
    const { epoch, release, pre, post, dev, local } = parsed;
    return {
      epoch,
      release,
      pre: preKey(parsed, pre),
      post: post?.[1] ?? -1,
      dev: dev?.[1] ?? Infinity,
      local: local ?? undefined,
    };
  },
  compare(one, other) {
    return (
      one.epoch - other.epoch ||
      compareLists(one.release, other.release, 0, (first, second) => first - second) ||
      one.pre[0] - other.pre[0] ||
      one.pre[1] - other.pre[1] ||
      one.post - other.post ||
      order(one.dev, other.dev) ||
      compareLocal(one.local, other.local)
    );
  },
};

/** A development release without another suffix comes before the prereleases, a version without suffix after them. */
function preKey({ post, dev }: Parsed, pre: Letter): readonly [number, number] {
  if (pre !== null) return [PRE_RANK[pre[0]] ?? 0, pre[1]];
  return post === null && dev !== null ? [-1, 0] : [3, 0];
}

/** Infinity minus itself is no number. */
function order(one: number, other: number): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** Numbers come after words, more parts after fewer. */
function compareLocal(one: Pep440Key['local'], other: Pep440Key['local']): number {
  if (one === undefined || other === undefined) return Number(one !== undefined) - Number(other !== undefined);
  for (let index = 0; index < Math.min(one.length, other.length); index += 1) {
    const first = one[index] as string | number;
    const second = other[index] as string | number;
    if (first === second) continue;
    if (typeof first !== typeof second) return typeof first === 'number' ? 1 : -1;
    return first < second ? -1 : 1;
  }
  return one.length - other.length;
}
