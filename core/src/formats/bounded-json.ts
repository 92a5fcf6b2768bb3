/**
 * The most lists and objects, and members of them, in JSON of clients. A list of two bytes takes as long to parse as a
 * long text.
 */
const MOST_NESTED = 50_000;
const MOST_MEMBERS = 250_000;

/**
 * Parses JSON from an untrusted source, whose length the caller has bounded. Bounds the work, too: by the number of opening
 * brackets and of commas, also those in strings.
 * @throws SyntaxError for what is no JSON, or has too many of them
 */
export function parseBoundedJson(bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nested = count(buffer, '[', MOST_NESTED) + count(buffer, '{', MOST_NESTED);
  if (nested > MOST_NESTED) throw new SyntaxError(`expected at most ${MOST_NESTED} lists and objects`);
  if (count(buffer, ',', MOST_MEMBERS) > MOST_MEMBERS) {
    throw new SyntaxError(`expected at most ${MOST_MEMBERS} members of lists and objects`);
  }
  return JSON.parse(buffer.toString('utf8')) as unknown;
}

/** Counts `sign` in `buffer`, up to one over `most`. */
function count(buffer: Buffer, sign: string, most: number): number {
  const code = sign.charCodeAt(0);
  let found = 0;
  for (let at = buffer.indexOf(code); at !== -1 && found <= most; at = buffer.indexOf(code, at + 1)) found += 1;
  return found;
}
