const UNIT_MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g;
const LONGEST_DURATION_TEXT = 64;
const SIZE = /^(\d+(?:\.\d+)?) ?(B|[kK]B|MB|GB|TB|KiB|MiB|GiB|TiB)?$/;
const ENDLESS_DURATIONS: ReadonlySet<string> = new Set(['forever', 'never']);

/**
 * The milliseconds that a duration of the configuration means: `500ms`, `30s`, `1h30m`, `720h`, `7d`, `2w`, `0`; `forever` and
 * `never` are `Infinity`. `undefined` when it is none.
 */
export function parseDuration(value: string | number): number | undefined {
  const text = String(value);
  if (text === '0') return 0;
  if (ENDLESS_DURATIONS.has(text)) return Infinity;
  if (text.length > LONGEST_DURATION_TEXT || !DURATION.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART)) {
    total += Number(amount) * (UNIT_MILLISECONDS[unit as string] as number);
  }
  return total;
}

/**
 * The bytes that a size of the configuration means: `64KiB`, `10MB`, `1.5GiB`, a plain number; `unlimited` is
 * `Infinity`. Decimal and binary prefixes are told apart (IEC 80000-13). `undefined` when it is none.
 */
export function parseSize(value: string | number): number | undefined {
  if (value === 'unlimited') return Infinity;
  const match = SIZE.exec(String(value));
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (UNIT_BYTES[match[2] ?? 'B'] as number));
}

/** A duration that a person reads: `30s`, `5m`, `forever`. */
export function printDuration(milliseconds: number): string {
  if (milliseconds === Infinity) return 'forever';
  if (milliseconds === 0) return '0';
  const units = Object.entries(UNIT_MILLISECONDS)
    .filter(([unit]) => unit !== 'w')
    .reverse();
  const [unit, length] = units.find(([, size]) => milliseconds % size === 0) ?? ['ms', 1];
  return `${milliseconds / length}${unit}`;
}

/** A size that a person reads, in binary units: `128MiB`, `unlimited`. */
export function printSize(bytes: number): string {
  if (bytes === Infinity) return 'unlimited';
  const units = ['TiB', 'GiB', 'MiB', 'KiB'] as const;
  const unit = units.find((name) => bytes >= (UNIT_BYTES[name] as number));
  if (unit === undefined) return `${bytes}B`;
  return `${Math.round((bytes / (UNIT_BYTES[unit] as number)) * 10) / 10}${unit}`;
}
