import type { AzureOptions } from './options.js';

/** Options of a request of the SDK. */
export interface AskOptions {
  readonly abortSignal: AbortSignal;
  readonly onProgress: () => void;
}

/** Limits of requests, in milliseconds. */
type Limits = Pick<AzureOptions, 'headersTimeout' | 'idleTimeout'>;

/** Sends requests of the SDK with deadlines, which it has none of its own for. */
export class Requests {
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Sends a request of the SDK, with a deadline: for an answer, and for each pause within a body that is sent.
   * @throws what the SDK throws; an error with `ETIMEDOUT` when a deadline has passed
   */
  async ask<T>(signal: AbortSignal | undefined, work: (options: AskOptions) => Promise<T>): Promise<T> {
    const { headersTimeout, idleTimeout } = this.#limits;
    const ending = new AbortController();
    let late: Error | undefined;
    const limit = (time: number): NodeJS.Timeout =>
      setTimeout(() => {
        late = Object.assign(new Error(`no answer within ${time} ms`), { code: 'ETIMEDOUT' });
        ending.abort(late);
      }, time);
    let timer = limit(headersTimeout);
    const onProgress = (): void => {
      clearTimeout(timer);
      timer = limit(idleTimeout);
    };
    const abortSignal = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
    try {
      return await work({ abortSignal, onProgress });
    } catch (error) {
      throw late ?? error;
    } finally {
      clearTimeout(timer);
    }
  }
}
