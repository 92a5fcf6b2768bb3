import type { ServerResponse } from 'node:http';

/** Whether the process is about to stop, and which responses are still running. Shared by all listeners. */
export class Drain {
  readonly #running = new Set<ServerResponse>();
  #draining = false;

  get draining(): boolean {
    return this.#draining;
  }

  /** How many requests have no complete answer yet. */
  get running(): number {
    return this.#running.size;
  }

  begin(response: ServerResponse): void {
    this.#running.add(response);
    if (this.#draining) response.setHeader('Connection', 'close');
  }

  end(response: ServerResponse): void {
    this.#running.delete(response);
  }

  /** From now on every answer says that its connection closes, also those that are being made. */
  start(): void {
    this.#draining = true;
    for (const response of this.#running) if (!response.headersSent) response.setHeader('Connection', 'close');
  }
}
