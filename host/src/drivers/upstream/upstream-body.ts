import { Readable } from 'node:stream';
import { type FailedRequest, upstreamError } from './upstream-error.js';

/** The body of a reply, whose failures are ours. Destroying it ends the exchange. */
export class UpstreamBody extends Readable {
  readonly #source: Readable;

  constructor(source: Readable, request: FailedRequest) {
    super();
    this.#source = source;
    // Whoever reads later is still told; whoever does not yet listen must not end the process.
    this.on('error', () => {});
    source.on('data', (chunk) => {
      if (!this.push(chunk)) source.pause();
    });
    source.on('end', () => this.push(null));
    source.on('error', (error) => this.destroy(upstreamError(error, request)));
    source.on('close', () => {
      if (!source.readableEnded) this.destroy(upstreamError(new Error('closed early'), request));
    });
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.destroy();
    callback(error);
  }
}
