import type { Fence } from '@entrepot/core';
import type { RelayedBody } from '@entrepot/core/engine';

/** A fetch of this process that others may follow. */
export class OwnFlight {
  readonly fence: Fence;
  readonly #body = Promise.withResolvers<RelayedBody | undefined>();
  readonly #end = new AbortController();
  #offered: RelayedBody | undefined;

  constructor(fence: Fence) {
    this.fence = fence;
  }

  /** Resolves with the body that is coming; `undefined` when it ends without one. */
  get body(): Promise<RelayedBody | undefined> {
    return this.#offered === undefined ? this.#body.promise : Promise.resolve(this.#offered);
  }

  /** Aborted when it is this process's no more. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  offer(body: RelayedBody): void {
    this.#offered = body;
    this.#body.resolve(body);
  }

  end(): void {
    this.#body.resolve(undefined);
    this.#end.abort();
  }
}
