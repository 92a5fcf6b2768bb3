import { setImmediate } from 'node:timers/promises';
import type { Content } from '@entrepot/core';

/** How much is read at a stretch: well under a millisecond. */
const SLICE = 64 * 1024;
/** How long one reader keeps the event loop, in milliseconds. */
const TURN = 2;

/** Lets other work run once a turn is over. */
export class Turns {
  #since = performance.now();

  /** Whether this turn has been long enough. */
  get over(): boolean {
    return performance.now() - this.#since > TURN;
  }

  async next(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}

/** The bytes of `content` in small pieces; other work runs between them. */
export async function* slices(content: Content): AsyncGenerator<Buffer, void, undefined> {
  const turns = new Turns();
  for await (const chunk of content.stream()) {
    for (let start = 0; start < chunk.length; start += SLICE) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset + start, Math.min(SLICE, chunk.length - start));
      if (turns.over) await turns.next();
    }
  }
}
