import type { OsvEvent, OsvRange } from './osv-record.js';
import { semverOrder, type VersionOrder } from '@entrepot/core/formats';
import { traitsOf } from './ecosystems.js';

/** Versions from `from` on, up to `to`. */
export interface Interval {
  /** `undefined`: from the beginning. */
  readonly from: unknown;
  /** `undefined`: to the end. */
  readonly to: unknown;
  readonly includesEnd: boolean;
  /** As the record has them. */
  readonly fromText: string | undefined;
  readonly toText: string | undefined;
  /** The verdict on its versions. */
  readonly verdict: Verdict;
}

/** A range, compiled for many lookups. */
export interface CompiledRange {
  /** `undefined`: these versions cannot be compared. */
  readonly order: VersionOrder | undefined;
  readonly intervals: readonly Interval[];
  /** Only versions before one of these; empty: all. */
  readonly limits: readonly unknown[];
  /** Whether part of it was unreadable. Then versions outside of the intervals may be affected as well. */
  readonly broken: boolean;
}

/** Whether a version is in a range: `undefined` when that cannot be said. The same object for the same interval. */
export type Verdict = { readonly affected: boolean; readonly fixedIn: readonly string[] } | undefined;

const NOT_AFFECTED: Verdict = { affected: false, fixedIn: [] };
const AFFECTED: Verdict = { affected: true, fixedIn: [] };
/** The most fixes that are listed: that of the version's own branch, and of some later ones. */
const MOST_FIXES = 10;

interface Step {
  readonly kind: 'introduced' | 'fixed' | 'last_affected';
  /** Absent for the beginning, as is the version. */
  readonly key: unknown;
  readonly version: string | undefined;
}

/**
 * Makes intervals of the events of a range (OSV schema, "Evaluation"): sorted by version, `introduced` opens one, `fixed`
 * ends it before itself, `last_affected` after itself. What cannot be read never makes a version safe.
 */
export function compileRange(ecosystem: string, { type, events }: OsvRange): CompiledRange {
  const order = traitsOf(ecosystem)?.order ?? (type === 'SEMVER' ? semverOrder : undefined);
  const always = events.every(isFromBeginning) && events.some(({ kind }) => kind === 'introduced');
  if (always) return { order, intervals: [ALL_VERSIONS], limits: [], broken: false };
  if (order === undefined) return { order, intervals: [], limits: [], broken: events.length > 0 };
  let broken = false;
  const steps: Step[] = [];
  const limits: unknown[] = [];
  let isUnlimited = false;
  for (const { kind, version } of events) {
    const isZero = kind === 'introduced' && version === '0';
    const key = isZero ? undefined : order.parse(version);
    if (kind === 'limit') {
      if (key === undefined) isUnlimited = true;
      else limits.push(key);
    } else if (isZero || key !== undefined) steps.push({ kind, key, version: isZero ? undefined : version });
    // An end that cannot be read is none; a beginning could be anywhere.
    else if (kind === 'introduced') broken = true;
  }
  const intervals = intervalsOf(steps, order);
  return {
    order,
    intervals: intervals.map((interval, index) => ({
      ...interval,
      verdict: { affected: true, fixedIn: fixesFrom(intervals, index) },
    })),
    limits: isUnlimited ? [] : limits,
    broken,
  };
}

const ALL_VERSIONS: Interval = {
  from: undefined,
  to: undefined,
  includesEnd: false,
  fromText: undefined,
  toText: undefined,
  verdict: AFFECTED,
};

/** Later branches have fixes of their own; those of earlier ones are older than the version. */
function fixesFrom(intervals: readonly Interval[], index: number): string[] {
  const later = intervals.slice(index, index + MOST_FIXES);
  return later.flatMap(({ toText, includesEnd }) => (includesEnd || toText === undefined ? [] : [toText]));
}

function isFromBeginning({ kind, version }: OsvEvent): boolean {
  return (kind === 'introduced' && version === '0') || (kind === 'limit' && version === '*');
}

function intervalsOf(steps: Step[], order: VersionOrder): Interval[] {
  const compare = (one: Step, other: Step): number => {
    if (one.key === undefined || other.key === undefined) {
      return Number(one.key !== undefined) - Number(other.key !== undefined);
    }
    return order.compare(one.key, other.key);
  };
  steps.sort(compare);
  const intervals: Interval[] = [];
  const from = ({ key, version }: Step): Interval => ({ ...ALL_VERSIONS, from: key, fromText: version });
  let open: Step | undefined;
  const close = (end: Step | undefined): void => {
    if (open === undefined || end === undefined) return;
    const includesEnd = end.kind === 'last_affected';
    intervals.push({ ...from(open), to: end.key, includesEnd, toText: end.version });
    open = undefined;
  };
  for (let start = 0; start < steps.length;) {
    const at = new Map<Step['kind'], Step>();
    const first = steps[start] as Step;
    for (; start < steps.length && compare(steps[start] as Step, first) === 0; start += 1) {
      at.set((steps[start] as Step).kind, steps[start] as Step);
    }
    // At one version: an end comes first where something is open, a beginning where nothing is.
    if (open !== undefined) {
      close(at.get('fixed') ?? at.get('last_affected'));
      open ??= at.get('introduced');
    } else {
      open = at.get('introduced');
      close(at.get('last_affected') ?? at.get('fixed'));
    }
  }
  if (open !== undefined) intervals.push(from(open));
  return intervals;
}

/** A version that is parsed once for all ranges of its package. */
export class Candidate {
  readonly version: string;
  #order: VersionOrder | undefined;
  #key: unknown;

  constructor(version: string) {
    this.version = version;
  }

  key(order: VersionOrder): unknown {
    if (order !== this.#order) {
      this.#order = order;
      this.#key = order.parse(this.version);
    }
    return this.#key;
  }
}

/** Whether a version is in `range`, and what fixes it. */
export function evaluateRange({ order, intervals, limits, broken }: CompiledRange, candidate: Candidate): Verdict {
  const [only] = intervals;
  if (only !== undefined && only.from === undefined && only.to === undefined && limits.length === 0) return AFFECTED;
  const key = order === undefined ? undefined : candidate.key(order);
  if (order === undefined || key === undefined) return intervals.length > 0 || broken ? undefined : NOT_AFFECTED;
  const hit = intervals.find((interval) => contains(interval, key, order));
  const isBeyond = limits.length > 0 && !limits.some((limit) => order.compare(key, limit) < 0);
  if (hit === undefined || isBeyond) return broken ? undefined : NOT_AFFECTED;
  return hit.verdict;
}

function contains({ from, to, includesEnd }: Interval, key: unknown, order: VersionOrder): boolean {
  if (from !== undefined && order.compare(key, from) < 0) return false;
  if (to === undefined) return true;
  const distance = order.compare(key, to);
  return includesEnd ? distance <= 0 : distance < 0;
}
