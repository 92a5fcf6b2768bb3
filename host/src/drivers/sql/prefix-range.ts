const LAST_CODE_POINT = 0x10ffff;

/**
 * The texts that begin with `prefix` and come after `after`, as a range in code-point order. An index can walk a range.
 * @returns from `from`, itself included where `inclusive` says so, up to but not including `below`. Absent: no upper bound
 */
export function prefixRange(prefix: string, after: string | undefined) {
  const lower = after !== undefined && compareCodePoints(after, prefix) >= 0 ? after : prefix;
  return { from: lower, inclusive: lower !== after, below: successor(prefix) };
}

/** The first text after all that begin with `prefix`: its last code point plus one. `undefined`: there is none. */
function successor(prefix: string): string | undefined {
  const points = Array.from(prefix, (sign) => sign.codePointAt(0) as number);
  while (points.at(-1) === LAST_CODE_POINT) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates are no code points of their own.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}

/** UTF-8 sorts like code points; JavaScript's own order is that of UTF-16. */
function compareCodePoints(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
