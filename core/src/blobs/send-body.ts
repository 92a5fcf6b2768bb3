import { Readable } from 'node:stream';

/** Options of a request, as the clients of several clouds name them. */
export interface SendOptions {
  readonly abortSignal?: AbortSignal;
}

/**
 * Sends a request with a body. A body that fails ends the request at once: the server would wait for the rest of it.
 * @param send gets the signal that ends it
 */
export async function sendBody<T>(
  body: Buffer | Readable,
  { abortSignal }: SendOptions,
  send: (options: Required<SendOptions>) => Promise<T>,
): Promise<T> {
  const failing = new AbortController();
  const signals = abortSignal === undefined ? [failing.signal] : [abortSignal, failing.signal];
  let failure: Error | undefined;
  if (body instanceof Readable) {
    body.on('error', (error) => {
      failure ??= error;
      failing.abort(error);
    });
  }
  try {
    return await send({ abortSignal: AbortSignal.any(signals) });
  } catch (error) {
    throw failure ?? error;
  } finally {
    if (body instanceof Readable) body.destroy();
  }
}
