/** The polynomial of CRC-32 (RFC 1952 §8), bits reversed; the highest bit stands for x^0. */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** x^(2^n), for n from 0. */
const SQUARES: readonly number[] = (() => {
  const squares = [0x40000000];
  for (let n = 1; n < 32; n += 1) squares.push(multiply(squares[n - 1] as number, squares[n - 1] as number));
  return squares;
})();

/**
 * The CRC-32 of two parts together, from those of each: `first` shifted by as many zero bytes as `second` has bytes.
 * @param length bytes of the second part
 */
export function combineCrc32(first: number, second: number, length: number): number {
  let shift = ONE;
  // x^(8 · length), by its binary digits; x^(2^32) is x^1 again.
  for (let rest = length, n = 3; rest > 0; rest = Math.floor(rest / 2), n += 1)
    if (rest % 2 === 1) shift = multiply(SQUARES[n % 32] as number, shift);
  return (multiply(shift, first) ^ second) >>> 0;
}

/** The product of two polynomials, modulo that of CRC-32. */
function multiply(left: number, right: number): number {
  let product = 0;
  let factor = right;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ POLYNOMIAL;
  }
  return product >>> 0;
}
