/**
 * Whether something is so. Ordered so that `and` is the least and `or` the greatest: what is `unknown` stays so, what is
 * `pending` is known once the bytes or their reports are here, so an `and` of both will never be `yes`.
 */
export const truth = Object.freeze({ no: 0, unknown: 1, pending: 2, yes: 3 } as const);

/** One of `truth`. */
export type Truth = (typeof truth)[keyof typeof truth];

export function isTruth(value: boolean): Truth {
  return value ? truth.yes : truth.no;
}

/** What is not known is not known the other way round either. */
export function negate(value: Truth): Truth {
  if (value === truth.yes) return truth.no;
  return value === truth.no ? truth.yes : value;
}
