import type { Fence } from '@entrepot/core';
import type { RelayedBody } from '@entrepot/core/engine';

/** A fetch of this process that others may follow. */
export class OwnFlight {
  readonly fence: Fence;
  /** Called when another process may have the lease, which has not been released. */
  readonly whenLost: () => void;
  readonly #body = Promise.withResolvers<RelayedBody | undefined>();
  #offered: RelayedBody | undefined;

  constructor(fence: Fence, whenLost = (): void => {}) {
    this.fence = fence;
    this.whenLost = whenLost;
  }

  /** Resolves with the body that is coming; `undefined` when it ends without one. */
  get body(): Promise<RelayedBody | undefined> {
    return this.#offered === undefined ? this.#body.promise : Promise.resolve(this.#offered);
  }

  offer(body: RelayedBody): void {
    this.#offered = body;
    this.#body.resolve(body);
  }

  end(): void {
    this.#body.resolve(undefined);
  }
}
