import type { Content } from '@entrepot/core';
import { WorkTurns } from '@entrepot/core/formats';

/** A part of a representation: text, or the bytes of the stored document from `start` to `end`. Later parts never begin before earlier ones end. */
export type Piece = string | readonly [start: number, end: number] | typeof MORE;

/** In place of a piece that is not known yet. */
export const MORE = Symbol('more');

/** Bytes that are handed on at once, at the least. */
const BATCH = 64 * 1024;

/**
 * Writes `pieces` of `content`, which is read once, front to back.
 * @param more resolves when the next piece may be known; what there is goes out meanwhile
 */
export async function* writePieces(
  content: Content,
  pieces: Iterable<Piece>,
  more: () => Promise<void> = async () => {},
): AsyncGenerator<Buffer, void, undefined> {
  const source = content.stream()[Symbol.asyncIterator]();
  const turns = new WorkTurns();
  let chunk: Uint8Array = new Uint8Array(0);
  let offset = 0;
  let batch: Uint8Array[] = [];
  let size = 0;
  const add = (bytes: Uint8Array): void => {
    batch.push(bytes);
    size += bytes.length;
  };
  const take = (): Buffer => {
    const taken = Buffer.concat(batch, size);
    batch = [];
    size = 0;
    return taken;
  };
  try {
    for (const piece of pieces) {
      if (piece === MORE) {
        // From now on: there may be more before what there is has been taken.
        const waiting = more();
        waiting.catch(() => {});
        if (size > 0) yield take();
        await waiting;
      } else if (typeof piece === 'string') add(Buffer.from(piece));
      else {
        let [at] = piece;
        const [, end] = piece;
        while (at < end) {
          if (at < offset + chunk.length) {
            add(chunk.subarray(at - offset, end - offset));
            at = Math.min(end, offset + chunk.length);
            continue;
          }
          offset += chunk.length;
          const { done, value } = await source.next();
          if (done === true) throw new RangeError(`the document ends at byte ${offset}, before byte ${end}`);
          chunk = value;
        }
      }
      if (size < BATCH) continue;
      yield take();
      if (turns.over) await turns.next();
    }
    if (size > 0) yield take();
  } finally {
    await source.return?.();
  }
}
