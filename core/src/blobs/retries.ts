import { setTimeout as delay } from 'node:timers/promises';

/** The shortest pause before a request is repeated, in milliseconds. Each further one is twice as long. */
const FIRST_PAUSE = 50;

export interface RetryOptions {
  /** How often it is tried at the most. */
  readonly attempts: number;
  /** Whether the same request may succeed soon. */
  readonly mayPass: (error: unknown) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Does `work` again while it fails for a reason that may pass. */
export async function withRetries<T>(work: () => Promise<T>, { attempts, mayPass, signal }: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt >= attempts || !mayPass(error)) throw error;
      // At random, so that many that failed together do not come back together.
      const pause = FIRST_PAUSE * 2 ** attempt * (0.5 + Math.random() / 2);
      await delay(pause, undefined, signal === undefined ? {} : { signal });
    }
  }
}
