/** The one of `candidates` that `word` was probably meant to be, or `undefined` when none is near. Case does not count. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  // Up to a third of the letters, and up to three, may be wrong: enough for typing errors, too little for another word.
  let bestDistance = Math.min(3, Math.max(1, Math.floor(word.length / 3))) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/**
 * The insertions, deletions, replacements and swaps of two neighbours between two words (the optimal string alignment of
 * Damerau and Levenshtein); `bound` when there are at least that many.
 */
function editDistance(from: string, to: string, bound: number): number {
  if (Math.abs(from.length - to.length) >= bound) return bound;
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (row[column - 1] as number) + (from[line - 1] === to[column - 1] ? 0 : 1);
      const isSwap = from[line - 1] === to[column - 2] && from[line - 2] === to[column - 1];
      const swapped = isSwap ? (before[column - 2] as number) + 1 : replaced;
      next.push(Math.min(replaced, swapped, (row[column] as number) + 1, (next[column - 1] as number) + 1));
    }
    [before, row] = [row, next];
  }
  return Math.min(row[to.length] as number, bound);
}
