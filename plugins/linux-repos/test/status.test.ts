import { describe, expect, it } from 'vitest';
import { EntrepotError } from '@entrepot/core';
import { pseudoRandom } from '@entrepot/core/testing';
import { afterFailure, afterSuccess, published, withJitter, type Status } from '../src/shared/status.js';

const MINUTE = 60_000;
const missing = new EntrepotError('not-found', 'no mirror has it');
const refused = new EntrepotError('forbidden', 'a mirror answered 403');
const down = new EntrepotError('upstream-unavailable', 'a mirror is down');

/** The status after errors that follow each other, and when each came; minutes. */
function after(errors: readonly (readonly [EntrepotError, number])[]): Status {
  return errors.reduce((status, [error, minute]) => afterFailure(status, error, minute * MINUTE, 'root'), published(0));
}

describe('the state of a root', () => {
  it('is suspect after a failure, and blocked after five in a row', () => {
    const states = [1, 2, 3, 4, 5].map((count) =>
      after(Array.from({ length: count }, (_, index) => [down, index + 1])),
    );
    expect(states.map(({ state }) => state)).toEqual(['suspect', 'suspect', 'suspect', 'suspect', 'blocked']);
    expect(states.map(({ since }) => since / MINUTE)).toEqual([1, 1, 1, 1, 5]);
    expect(states.at(-1)).toMatchObject({ failures: 5, error: 'a mirror is down' });
    expect(afterSuccess(states.at(-1), {}, 7 * MINUTE)).toMatchObject({
      state: 'active',
      since: 7 * MINUTE,
      failures: 0,
    });
  });

  it('is no more than suspect where mirrors have what does not go together', () => {
    const changing = new EntrepotError('upstream-unavailable', 'another sum', { code: 'UPSTREAM_MALFORMED' });
    expect(after(Array.from({ length: 20 }, (_, at) => [changing, at + 1])).state).toBe('suspect');
  });

  it('is blocked at once where mirrors refuse', () => {
    expect(after([[refused, 1]])).toMatchObject({ state: 'blocked', since: MINUTE });
  });

  it('asks mirrors less and less often, for at least two minutes and about an hour at most where it is blocked', () => {
    const waits = Array.from({ length: 12 }, (_, index) => {
      const { retryAt = 0, triedAt } = after(Array.from({ length: index + 1 }, () => [down, 1]));
      return (retryAt - triedAt) / MINUTE;
    });
    const expected = [0.5, 1, 2, 2, 2, 4, 8, 16, 32, 60, 60, 60];
    for (const [index, wait] of waits.entries()) {
      const least = expected[index] as number;
      expect(wait >= least && wait <= 1.1 * least).toBe(true);
    }
  });

  it('is removed when no mirror had it for five times and five minutes', () => {
    expect(after([1, 1, 1, 1, 1, 1].map((minute) => [missing, minute])).state).toBe('suspect');
    expect(after([1, 3, 5, 7].map((minute) => [missing, minute])).state).toBe('suspect');
    const removed = after([1, 2, 3, 4, 6].map((minute) => [missing, minute]));
    expect(removed).toMatchObject({ state: 'removed', since: 6 * MINUTE });
    // A mirror that cannot be asked may have it.
    expect(after([1, 2, 3, 4, 5, 7].map((minute, index) => [index === 2 ? down : missing, minute])).state).toBe(
      'suspect',
    );
    expect(afterFailure(removed, down, 8 * MINUTE, 'root').state).toBe('removed');
    expect(afterSuccess(removed, {}, 9 * MINUTE).state).toBe('active');
  });

  it('is suspect where little is left of the time for which clients take it', () => {
    const dates = { date: 0, validUntil: 100 * MINUTE };
    expect(afterSuccess(undefined, dates, 79 * MINUTE).state).toBe('active');
    const late = afterSuccess(published(0), dates, 81 * MINUTE);
    expect(late).toMatchObject({ state: 'suspect', since: 81 * MINUTE });
    expect(late.error).toContain('valid until 1970-01-01T01:40:00.000Z');
    expect(late.retryAt).toBeUndefined();
  });

  it('keeps the time of the last use', () => {
    const used = { ...published(0), usedAt: 17 };
    expect(afterFailure(used, down, MINUTE, 'root').usedAt).toBe(17);
    expect(afterSuccess(used, {}, MINUTE).usedAt).toBe(17);
  });

  it('holds its promises in any sequence of answers', () => {
    const next = pseudoRandom(7);
    const errors = [missing, missing, missing, refused, down, undefined];
    for (let run = 0; run < 200; run += 1) {
      let status = published(0);
      let now = 0;
      let misses: number[] = [];
      for (let step = 0; step < 60; step += 1) {
        now += Math.floor(next() * 4 * MINUTE);
        const error = errors[Math.floor(next() * errors.length)];
        const before = status;
        misses = error === missing ? [...misses, now] : [];
        status = error === undefined ? afterSuccess(before, {}, now) : afterFailure(before, error, now, 'root');
        const isGone = misses.length >= 5 && now - (misses[0] ?? now) >= 5 * MINUTE;
        if (error === undefined) expect(status.state).toBe('active');
        else if (before.state !== 'removed') expect(status.state === 'removed').toBe(isGone);
        expect(status.triedAt).toBe(now);
        expect(status.since).toBe(status.state === before.state ? before.since : now);
        if (status.retryAt !== undefined) expect(status.retryAt).toBeGreaterThan(now);
      }
    }
  });
});

describe('jitter', () => {
  it('adds up to a tenth, and the same for the same name', () => {
    const added = Array.from({ length: 100 }, (_, index) => withJitter(1000, `root ${index}`));
    expect(Math.min(...added)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...added)).toBeLessThanOrEqual(1100);
    expect(new Set(added).size).toBeGreaterThan(20);
    expect(withJitter(1000, 'root 1')).toBe(added[1]);
  });
});
