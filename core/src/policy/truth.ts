/**
 * Three-valued truth, and `pending`: unknown until the bytes or their reports are here. Ordered so that `and` is the
 * least and `or` the greatest. `unknown` is less than `pending`, since an `and` of both will never be `yes`.
 */
export const truth = Object.freeze({ no: 0, unknown: 1, pending: 2, yes: 3 } as const);

/** One of `truth`. */
export type Truth = (typeof truth)[keyof typeof truth];

/** The truth of a value; `undefined` is unknown. */
export function isTruth(value: boolean | undefined): Truth {
  if (value === undefined) return truth.unknown;
  return value ? truth.yes : truth.no;
}

/** Negates. The negation of an unknown value is unknown. */
export function negate(value: Truth): Truth {
  if (value === truth.yes) return truth.no;
  return value === truth.no ? truth.yes : value;
}
