import { z } from 'zod';

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

/** Node's timers hold 31 bits of milliseconds; a longer one would fire at once. */
const LONGEST_TIMEOUT = 24 * 86_400_000;

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

const endlessDurationText = z.string().meta({ pattern: '^(0|forever|never|(\\d+(\\.\\d+)?(ms|s|m|h|d|w))+)$' });
const durationText = z.string().meta({ pattern: '^(0|(\\d+(\\.\\d+)?(ms|s|m|h|d|w))+)$' });
const sizeText = z.string().meta({ pattern: '^\\d+(\\.\\d+)? ?([kK]B|B|MB|GB|TB|KiB|MiB|GiB|TiB)?$' });
const endlessSizeText = z
  .string()
  .meta({ pattern: '^(unlimited|\\d+(\\.\\d+)? ?([kK]B|B|MB|GB|TB|KiB|MiB|GiB|TiB)?)$' });

const DURATION_EXPECTED = 'expected a duration such as 500ms, 30s, 5m, 720h, 7d or 0';
const SIZE_EXPECTED = 'expected a size such as 64KiB, 10MB, 2GiB or a number of bytes';

/** The schema of a duration that may be `forever`; milliseconds. */
export function endlessDuration() {
  const message = `${DURATION_EXPECTED}, forever or never`;
  return z
    .union([endlessDurationText, z.literal(0)], { error: message })
    .transform((value, context) => parsed(parseDuration(value), message, context))
    .meta({ form: 'duration, `forever`' });
}

/** The schema of a finite duration that may be 0; milliseconds. */
export function duration() {
  return z
    .union([durationText, z.literal(0)], { error: DURATION_EXPECTED })
    .transform((value, context) => parsed(finite(parseDuration(value)), DURATION_EXPECTED, context))
    .meta({ form: 'duration' });
}

/** The schema of a time limit: more than 0, at most what a timer can hold; milliseconds. */
export function timeout() {
  const message = 'expected a duration from 1ms to 24d, such as 30s or 5m';
  return z
    .union([durationText, z.literal(0)], { error: message })
    .transform((value, context) => {
      const time = parseDuration(value);
      const usable = time !== undefined && time >= 1 && time <= LONGEST_TIMEOUT;
      return parsed(usable ? Math.round(time) : undefined, message, context);
    })
    .meta({ form: 'duration' });
}

/** The schema of a finite size; bytes. */
export function size({ least = 0 }: { readonly least?: number } = {}) {
  const message = least === 0 ? SIZE_EXPECTED : `${SIZE_EXPECTED}, at least ${printSize(least)}`;
  return z
    .union([sizeText, z.number()], { error: message })
    .transform((value, context) => {
      const bytes = finite(parseSize(value));
      return parsed(bytes !== undefined && bytes >= least ? bytes : undefined, message, context);
    })
    .meta({ form: 'size' });
}

/** The schema of a size that may be `unlimited`; bytes. */
export function endlessSize() {
  const message = `${SIZE_EXPECTED}, or unlimited`;
  return z
    .union([endlessSizeText, z.number()], { error: message })
    .transform((value, context) => parsed(parseSize(value), message, context))
    .meta({ form: 'size, `unlimited`' });
}

function finite(value: number | undefined): number | undefined {
  return value === Infinity ? undefined : value;
}

function parsed(value: number | undefined, message: string, context: z.RefinementCtx): number {
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
