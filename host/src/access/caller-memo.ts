import { createHmac, randomBytes } from 'node:crypto';
import type { Caller, Clock } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';

/** The most cached results of one kind. */
const MAX_ANSWERS = 2_000;
/** The lifetime of a cached result, in milliseconds. A removed user keeps access for as long. */
const REMEMBER = 30_000;

/** The result of checking credentials. */
export interface Checked {
  readonly caller: Caller;
  /** When the credentials expire, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
  /** Whether the result still holds: the key that it rests on may have been revoked. Must cost nothing. Absent: it does. */
  readonly holds?: (() => boolean) | undefined;
}

interface Answer {
  readonly checked: Promise<Checked>;
  /** Milliseconds since the epoch. */
  until: number;
  holds?: Checked['holds'];
}

/**
 * Caches the results of checking credentials, so that a password is not hashed for every request. Failures are cached
 * as well: a job that repeats an old password costs no more. The keys are keyed hashes that are worthless outside of
 * this process.
 */
export class CallerMemo {
  readonly #key = randomBytes(32);
  readonly #answers = new Lru<Answer>(MAX_ANSWERS);
  /** Kept apart, so that guesses do not evict valid credentials. */
  readonly #refused = new Lru<Answer>(MAX_ANSWERS);
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws what `check` throws */
  async get(credentials: string, check: () => Promise<Checked>): Promise<Caller> {
    const id = createHmac('sha256', this.#key).update(credentials).digest('base64');
    const now = this.#clock.now();
    const known = this.#answers.get(id) ?? this.#refused.get(id);
    const isUsable = known !== undefined && now < known.until && known.holds?.() !== false;
    const answer = isUsable ? known : this.#ask(id, now, check);
    return (await answer.checked).caller;
  }

  /** Removes everything. Call it when the users have changed. */
  clear(): void {
    this.#answers.clear();
    this.#refused.clear();
  }

  #ask(id: string, now: number, check: () => Promise<Checked>): Answer {
    const answer: Answer = { checked: check(), until: now + REMEMBER };
    this.#refused.delete(id);
    this.#answers.set(id, answer);
    answer.checked.then(
      ({ expiresAt = Infinity, holds }) => {
        answer.until = Math.min(answer.until, expiresAt);
        answer.holds = holds;
      },
      (error: { readonly status?: unknown }) => {
        if (this.#answers.get(id) !== answer) return;
        this.#answers.delete(id);
        // That it could not be found out is no answer.
        if (error.status === 401) this.#refused.set(id, answer);
      },
    );
    return answer;
  }
}
