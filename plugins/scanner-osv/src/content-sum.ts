import { crc32 } from 'node:zlib';

/**
 * A sum over everything that findings are made of, in any order: the same records give the same sum, on every machine, from the
 * beginning or by changes. So reports are shared, and nothing is judged again after an import that brought nothing.
 */
export class ContentSum {
  #sum: number;

  /** @param text as `toString` gave it */
  constructor(text = '0') {
    this.#sum = Number.parseInt(text, 16);
  }

  add(key: string, value: Uint8Array): void {
    this.#sum = (this.#sum + crc32(value, crc32(key))) % MODULUS;
  }

  remove(key: string, value: Uint8Array): void {
    this.#sum = (this.#sum + MODULUS - crc32(value, crc32(key))) % MODULUS;
  }

  toString(): string {
    return this.#sum.toString(16).padStart(12, '0');
  }
}

/** Exact in a number, also for the sum of two. */
const MODULUS = 2 ** 48;
