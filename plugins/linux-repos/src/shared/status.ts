import { createHash } from 'node:crypto';
import type { EntrepotError, RootState } from '@entrepot/core';

/** The state of a root that was published once. */
export interface Status {
  readonly state: Exclude<RootState, 'pending' | 'frozen'>;
  /** Time at which it came into this state; milliseconds since the epoch, as all times here. */
  readonly since: number;
  /** Time at which the mirrors were asked last. */
  readonly triedAt: number;
  /** Time at which a client asked last, as far as it was noted. */
  readonly usedAt: number;
  /** The number of failures in a row. */
  readonly failures: number;
  /** The number of times in a row that no mirror had it. */
  readonly missing: number;
  /** The first of these times. */
  readonly missingSince?: number | undefined;
  /** The time before which the mirrors are not asked by themselves. */
  readonly retryAt?: number | undefined;
  /** Reason for not being active. */
  readonly error?: string | undefined;
}

/** A root that was published a moment ago. */
export function published(now: number, state: Status['state'] = 'active', error?: string): Status {
  return {
    state,
    since: now,
    triedAt: now,
    usedAt: now,
    failures: 0,
    missing: 0,
    ...(error !== undefined && { error }),
  };
}

/** The number of times in a row after which a root is blocked, or removed. */
const MANY = 5;
/** The least time over which a root is missing before it is removed; milliseconds. */
const MISSING_FOR = 300_000;
/** The wait after a failure, which doubles up to a bound; milliseconds. */
const SUSPECT = { first: 30_000, most: 120_000 };
const BLOCKED = { first: 120_000, most: 3_600_000 };

/** The time left in which clients take a document, as a part of the whole: with less it is suspect. */
const LITTLE_LEFT = 0.2;

/** The dates of a main document; milliseconds since the epoch. */
interface Dates {
  readonly date?: number | undefined;
  readonly validUntil?: number | undefined;
}

/** The status after the mirrors were asked, and what they have is published. */
export function afterSuccess(earlier: Status | undefined, { date, validUntil }: Dates, now: number): Status {
  const isLate = validUntil !== undefined && validUntil - now < LITTLE_LEFT * (validUntil - (date ?? now));
  const next = isLate
    ? published(
        now,
        'suspect',
        `the mirrors have no newer one than that of ${text(date)}, which is valid until ${text(validUntil)}`,
      )
    : published(now);
  return since(earlier, next);
}

/** The status after the mirrors failed. @param name whose waits are told apart by chance */
export function afterFailure(earlier: Status, error: EntrepotError, now: number, name: string): Status {
  const isMissing = error.kind === 'not-found';
  const isRefused = error.kind === 'forbidden';
  const missing = isMissing ? earlier.missing + 1 : 0;
  const missingSince = isMissing ? (earlier.missingSince ?? now) : undefined;
  // A mirror that is being changed has what does not go together, again and again, and is right in a moment.
  const isUntrusted = error.kind === 'integrity' || error.code === 'UPSTREAM_MALFORMED';
  const failures = isMissing ? 0 : isUntrusted ? Math.min(earlier.failures + 1, MANY - 1) : earlier.failures + 1;
  const isGone = missing >= MANY && now - (missingSince ?? now) >= MISSING_FOR;
  const state =
    isGone || earlier.state === 'removed' ? 'removed' : isRefused || failures >= MANY ? 'blocked' : 'suspect';
  const wait =
    state === 'blocked'
      ? longer(BLOCKED, isRefused ? failures - 1 : failures - MANY)
      : longer(SUSPECT, Math.max(failures, missing) - 1);
  return since(earlier, {
    state,
    since: now,
    triedAt: now,
    usedAt: earlier.usedAt,
    failures,
    missing,
    ...(missingSince !== undefined && { missingSince }),
    retryAt: now + withJitter(wait, `${name} ${now}`),
    error: error.message,
  });
}

function since(earlier: Status | undefined, next: Status): Status {
  if (earlier === undefined) return next;
  return { ...next, usedAt: earlier.usedAt, since: earlier.state === next.state ? earlier.since : next.since };
}

function longer({ first, most }: { readonly first: number; readonly most: number }, times: number): number {
  return Math.min(most, first * 2 ** Math.min(20, Math.max(0, times)));
}

/** Adds up to a tenth, so that many do not come at once. The same name gives the same. */
export function withJitter(duration: number, name: string): number {
  return Math.round(duration * (1 + createHash('sha256').update(name).digest().readUInt16BE(0) / 655_360));
}

function text(time: number | undefined): string {
  return time === undefined ? 'an unknown date' : new Date(time).toISOString();
}
