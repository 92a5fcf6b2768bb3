import { createHash, type Hash } from 'node:crypto';
import type { Integrity } from '../../api/integrity.js';

/** Digests of a body by algorithm, in hex. */
export type Sums = ReadonlyMap<string, string>;

/** Computes the digests of a body: its own name, and what was promised of it. */
export class Summing {
  readonly #hashes: ReadonlyMap<string, Hash>;

  /** @param wanted other algorithms to compute */
  constructor(promised: readonly Integrity[], wanted: readonly string[] = []) {
    const names = new Set(['sha256', ...promised.map(({ algorithm }) => algorithm), ...wanted]);
    this.#hashes = new Map([...names].map((name) => [name, createHash(name)]));
  }

  update(bytes: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(bytes);
  }

  sums(): Sums {
    return new Map([...this.#hashes].map(([name, hash]) => [name, hash.digest('hex')]));
  }
}

/** Finds what the bytes are instead, when they keep none of the promises (all of one algorithm; any will do, W3C SRI §3.3.5). */
export function mismatchOf(promised: readonly Integrity[], sums: Sums): Integrity | undefined {
  if (promised.length === 0) return undefined;
  const { algorithm } = promised[0] as Integrity;
  const hex = sums.get(algorithm) as string;
  return promised.some((promise) => promise.hex === hex) ? undefined : { algorithm, hex };
}

/** Whether bytes are what was promised. */
export async function isPromised(
  promised: readonly Integrity[],
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<boolean> {
  const summing = new Summing(promised);
  for await (const bytes of content) summing.update(bytes);
  return mismatchOf(promised, summing.sums()) === undefined;
}
