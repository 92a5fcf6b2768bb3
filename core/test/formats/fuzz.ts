/** Gives `check` damaged copies of what `sample` makes, some whole ones, and bytes of chance. */
export function fuzz(random: () => number, rounds: number, sample: () => Buffer, check: (bytes: Buffer) => void): void {
  for (let round = 0; round < rounds; round += 1) check(damaged(random, sample(), round));
}

/** The same for what is checked asynchronously. */
export async function fuzzAsync(
  random: () => number,
  rounds: number,
  sample: () => Buffer,
  check: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) await check(damaged(random, sample(), round));
}

/** `bytes` in pieces of chance, empty ones among them. */
export function piecesOf(random: () => number, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  const longest = below(random, 3) === 0 ? 2 : Math.max(2, below(random, bytes.length + 1));
  for (let at = 0; at < bytes.length;) {
    const length = below(random, longest + 1);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

function damaged(random: () => number, bytes: Buffer, round: number): Buffer {
  if (round % 16 === 0) return bytes;
  if (round % 16 === 1) return Buffer.from(Array.from({ length: below(random, 64) }, () => below(random, 256)));
  let made = bytes;
  for (let left = 1 + below(random, 3); left > 0; left -= 1) made = damage(random, made);
  return made;
}

function damage(random: () => number, bytes: Buffer): Buffer {
  const at = below(random, bytes.length + 1);
  const length = below(random, 9);
  const inserted = Buffer.from(Array.from({ length }, () => below(random, 256)));
  switch (below(random, 5)) {
    case 0: {
      const changed = Buffer.from(bytes);
      if (at < bytes.length) changed[at] = (changed[at] as number) ^ (1 << below(random, 8));
      return changed;
    }
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + length)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length))]);
  }
}

function below(random: () => number, limit: number): number {
  return Math.floor(random() * limit);
}
