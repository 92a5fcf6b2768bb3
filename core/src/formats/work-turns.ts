import { setImmediate } from 'node:timers/promises';

/** The time for which one piece of work keeps the event loop, in milliseconds. */
const TURN = 2;

/** Lets other work run once a turn is over: what is long is done in turns, so that no request waits for another one. */
export class WorkTurns {
  #since = performance.now();

  /** Goes on at once while the turn lasts. */
  async pause(): Promise<void> {
    if (this.over) await this.next();
  }

  /** Whether this turn has been long enough. */
  get over(): boolean {
    return performance.now() - this.#since > TURN;
  }

  /** Lets others run, and begins the next turn. */
  async next(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}

/** The bytes that are read at a stretch: well under a millisecond. */
const SLICE = 64 * 1024;

/** The bytes of `source` in small pieces; other work runs between them. */
export async function* slices(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const turns = new WorkTurns();
  for await (const chunk of source) {
    for (let start = 0; start < chunk.length; start += SLICE) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset + start, Math.min(SLICE, chunk.length - start));
      if (turns.over) await turns.next();
    }
  }
}

/** The length of text that is handed on at once, in characters. */
const BATCH = 64 * 1024;

/** Joins small texts to larger ones, and lets others have their turn between them. */
export async function* inBatches(
  texts: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<string, void, undefined> {
  const turns = new WorkTurns();
  let batch = '';
  for await (const text of texts) {
    batch += text;
    if (turns.over) await turns.next();
    if (batch.length < BATCH) continue;
    yield batch;
    batch = '';
  }
  yield batch;
}

/** So many values are looked at between two looks at the clock. */
const STEP = 512;

/** The same values in order, stable as `Array.prototype.toSorted` is: however many there are, in turns. */
export async function sortedInTurns<Value>(
  values: readonly Value[],
  compare: (one: Value, other: Value) => number,
  turns = new WorkTurns(),
): Promise<Value[]> {
  let runs: Value[][] = [];
  for (let at = 0; at < values.length; at += STEP) {
    runs.push(values.slice(at, at + STEP).sort(compare));
    await turns.pause();
  }
  while (runs.length > 1) {
    const merged: Value[][] = [];
    for (let at = 0; at < runs.length; at += 2) {
      const [one, other] = [runs[at] as Value[], runs[at + 1]];
      merged.push(other === undefined ? one : await mergedInTurns(one, other, compare, turns));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergedInTurns<Value>(
  one: readonly Value[],
  other: readonly Value[],
  compare: (one: Value, other: Value) => number,
  turns: WorkTurns,
): Promise<Value[]> {
  const merged: Value[] = [];
  let [left, right] = [0, 0];
  while (left < one.length && right < other.length) {
    const isLeft = compare(one[left] as Value, other[right] as Value) <= 0;
    merged.push((isLeft ? one[left++] : other[right++]) as Value);
    if (merged.length % STEP === 0) await turns.pause();
  }
  for (const [rest, from] of [
    [one, left],
    [other, right],
  ] as const) {
    for (let at = from; at < rest.length; at += 1) merged.push(rest[at] as Value);
  }
  return merged;
}
