import type { Clock, Logger } from '@entrepot/core';
import type { KeptException, SqlExceptionStore } from '../drivers/sql/exception-store.js';

export interface EndingExceptionsOptions {
  readonly store: Pick<SqlExceptionStore, 'alter'>;
  /** Time before its end at which an exception is announced, in milliseconds; 0: never. */
  readonly notice: number;
  readonly clock: Clock;
  readonly logger: Logger;
  onEnding(exception: KeptException): void;
}

/** Announces exceptions before they end: each end once, by one of the processes on the database. */
export class EndingExceptions {
  readonly #options: EndingExceptionsOptions;

  constructor(options: EndingExceptionsOptions) {
    this.#options = options;
  }

  /** Looks which end soon. @param all those that are known */
  async look(all: readonly KeptException[]): Promise<void> {
    const { clock, notice } = this.#options;
    const now = clock.now();
    for (const one of all) {
      if (notice > 0 && one.active && isDue(one, now, notice)) await this.#announce(one.id, now);
    }
  }

  async #announce(id: string, now: number): Promise<void> {
    const { store, notice, logger, onEnding } = this.#options;
    let isFirst = false;
    const announced = await store.alter(id, (kept) => {
      // Another process may have been before, or the exception was changed.
      isFirst = kept.active && isDue(kept, now, notice);
      return isFirst ? { ...kept, announcedEnd: kept.expiresAt } : kept;
    });
    if (!isFirst || announced === undefined) return;
    const { reason, expiresAt, scope, advisories } = announced;
    const endsAt = new Date(expiresAt).toISOString();
    logger.warn({ exception: id, endsAt, reason, purl: scope.purl, advisories }, 'an exception ends soon');
    onEnding(announced);
  }
}

function isDue({ expiresAt, announcedEnd }: KeptException, now: number, notice: number): boolean {
  return expiresAt > now && expiresAt <= now + notice && announcedEnd !== expiresAt;
}
