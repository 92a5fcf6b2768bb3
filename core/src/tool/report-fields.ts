/** An object of a report whose members have not been checked. */
export type Fields = Readonly<Record<string, unknown>>;

/** Reads an object of a report. Anything else has no members. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** Reads a text of a report. An empty one is absent. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Reads a list of texts of a report, without what is no text. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}
