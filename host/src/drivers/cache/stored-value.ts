/** Begins what this version writes. Anything else is somebody else's. */
const VERSION = 'e1';
const HEAD = /^e1 (\d{1,9}) (\d{1,15})\n/;

/** A value as Keyv hands it over, and takes it back. */
export interface KeptValue {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** The text under which a value is stored where others may write, too: its version, its length, when it ends, and the value. */
export function printValue({
  value,
  expires,
}: {
  readonly value?: unknown;
  readonly expires?: number | undefined;
}): string {
  const text = String(value);
  return `${VERSION} ${text.length} ${expires ?? 0}\n${text}`;
}

/** Reads what `printValue` gave. `undefined`: it is of another program or another version, or not whole. */
export function parseValue(stored: string): KeptValue | undefined {
  const [head, length, expires] = HEAD.exec(stored.slice(0, 40)) ?? [];
  if (head === undefined || stored.length !== head.length + Number(length)) return undefined;
  return { value: stored.slice(head.length), expires: Number(expires) };
}
