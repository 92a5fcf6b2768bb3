import { parseDuration, parseSize, printSize } from '@entrepot/core';
import { z } from 'zod';

/** Node's timers hold 31 bits of milliseconds; a longer one would fire at once. */
const LONGEST_TIMEOUT = 24 * 86_400_000;

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
