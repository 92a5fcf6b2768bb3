/** Headers as they are sent: names of any case. */
type Headers = Readonly<Record<string, string>>;

/**
 * One map of several, in which each name stands once, whatever its case (RFC 9110 §5.1): spelled as first, with the value
 * that comes last.
 */
export function mergeHeaders(...maps: readonly (Headers | undefined)[]): Record<string, string> {
  const merged: Record<string, string> = {};
  const spellings = new Map<string, string>();
  for (const map of maps) {
    for (const name in map) {
      const lower = name.toLowerCase();
      const spelling = spellings.get(lower) ?? name;
      spellings.set(lower, spelling);
      merged[spelling] = map[name] as string;
    }
  }
  return merged;
}

/** The value under a name in lower case. */
export function headerIn(headers: Headers | undefined, wanted: string): string | undefined {
  for (const name in headers) if (name.length === wanted.length && name.toLowerCase() === wanted) return headers[name];
  return undefined;
}

/** `headers`, and those of `defaults` that they do not have. */
export function withDefaults(headers: Record<string, string>, defaults: Headers | undefined): Record<string, string> {
  if (defaults === undefined) return headers;
  const whole = { ...headers };
  for (const name in defaults)
    if (headerIn(headers, name.toLowerCase()) === undefined) whole[name] = defaults[name] as string;
  return whole;
}

/** `headers` without those whose names, in lower case, are in `unwanted`. */
export function withoutHeaders(headers: Headers, unwanted: ReadonlySet<string>): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !unwanted.has(name.toLowerCase())));
}
