/** A value of a document with keys, before it is validated. */
export type Mapping = Readonly<Record<string, unknown>>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `value`, or an empty mapping where it is none. */
export function asMapping(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}
