/** A value of a document with keys, before it is validated. */
export type Mapping = Readonly<Record<string, unknown>>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `values` without keys that are there but say nothing, which would hide a default. */
export function defined(values: object): Mapping {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** `value`, or an empty mapping where it is none. */
export function asMapping(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}
