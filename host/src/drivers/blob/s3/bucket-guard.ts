import { EntrepotError, type Logger, messageOf } from '@entrepot/core';
import { Breaker } from '@entrepot/core/formats';

/** The time for which a bucket that does not answer is left alone, in milliseconds. Everything waits for it, so it is short. */
const REST = 1_000;
/** Statuses of a gateway that does not reach the store behind it. */
const OUT_OF_REACH = new Set([502, 504]);

/** Lets requests through while the bucket answers. One that does not costs milliseconds, and not the deadline of every request. */
export class BucketGuard {
  readonly #breaker = new Breaker({ rest: REST });
  readonly #name: string;
  readonly #logger: Logger;
  #reason: unknown;
  #failedAt = -Infinity;

  /** @param name of the bucket, for messages */
  constructor(name: string, logger: Logger) {
    this.#name = name;
    this.#logger = logger;
  }

  /** Whether the bucket is left alone now. */
  get isOpen(): boolean {
    return this.#breaker.isOpen(performance.now());
  }

  /**
   * Sends a request.
   * @param statusOf tells the status of the answer
   * @param signal of who asks: what it ends says nothing of the bucket
   * @throws EntrepotError `storage` with the code `STORAGE_SKIPPED` when the bucket is left alone
   */
  async send<Answer>(
    work: () => Promise<Answer>,
    statusOf: (answer: Answer) => number | undefined,
    signal: { readonly aborted: boolean } | undefined,
  ): Promise<Answer> {
    const startedAt = performance.now();
    if (!this.#breaker.enter(startedAt)) throw this.#leftAlone();
    let answer: Answer;
    try {
      answer = await work();
    } catch (error) {
      if (signal?.aborted === true) this.#breaker.left(performance.now());
      else this.#failed(error, startedAt);
      throw error;
    }
    const status = statusOf(answer) ?? 0;
    if (OUT_OF_REACH.has(status)) this.#failed(new Error(`status ${status}`), startedAt);
    else this.#answered();
    return answer;
  }

  #failed(error: unknown, startedAt: number): void {
    // Together with others that failed: a server that is restarted ends all connections at once.
    if (startedAt < this.#failedAt) return;
    this.#failedAt = performance.now();
    const wasFailing = this.#breaker.isFailing;
    this.#reason = error;
    this.#breaker.failed(performance.now());
    if (!wasFailing && this.#breaker.isFailing)
      this.#logger.warn(
        { reason: messageOf(error), bucket: this.#name },
        'the bucket does not answer; it is left alone',
      );
  }

  #answered(): void {
    if (this.#breaker.isFailing) this.#logger.info({ bucket: this.#name }, 'the bucket answers again');
    this.#breaker.answered();
  }

  #leftAlone(): EntrepotError {
    const message = `${this.#name} has been failing and is left alone for a moment: ${messageOf(this.#reason)}`;
    return new EntrepotError('storage', message, {
      code: 'STORAGE_SKIPPED',
      status: 503,
      retryAfter: 1,
      cause: this.#reason,
    });
  }
}
