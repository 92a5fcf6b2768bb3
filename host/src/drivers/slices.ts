/** Cuts `list` into parts of at most `width` members. */
export function* slices<T>(list: readonly T[], width: number): Generator<readonly T[]> {
  for (let start = 0; start < list.length; start += width) yield list.slice(start, start + width);
}
