import { createHmac, randomBytes } from 'node:crypto';
import type { Caller, Clock } from '@entrepot/core';
import { Lru } from '@entrepot/core/formats';

/** Answers of one kind that are remembered at the most. */
const MAX_ANSWERS = 2_000;
/** For this long, in milliseconds: as long may somebody who was removed still come in. */
const REMEMBER = 30_000;

/** What checking credentials came to. */
export interface Checked {
  readonly caller: Caller;
  /** When the credentials end, in milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
}

interface Answer {
  readonly checked: Promise<Checked>;
  /** Milliseconds since the epoch. */
  until: number;
}

/**
 * What credentials were found to be, so that a password is hashed once and not for every request. Wrong ones as well: a job
 * that repeats an old password costs no more. Kept by a keyed hash that is worth nothing outside of this process.
 */
export class CallerMemo {
  readonly #key = randomBytes(32);
  readonly #answers = new Lru<Answer>(MAX_ANSWERS);
  /** Apart, so that somebody who guesses does not push the others out. */
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
    const answer = known !== undefined && now < known.until ? known : this.#ask(id, now, check);
    return (await answer.checked).caller;
  }

  /** Forgets everything: the users have changed. */
  clear(): void {
    this.#answers.clear();
    this.#refused.clear();
  }

  #ask(id: string, now: number, check: () => Promise<Checked>): Answer {
    const answer: Answer = { checked: check(), until: now + REMEMBER };
    this.#refused.delete(id);
    this.#answers.set(id, answer);
    answer.checked.then(
      ({ expiresAt = Infinity }) => (answer.until = Math.min(answer.until, expiresAt)),
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
