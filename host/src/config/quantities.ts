import { durationOption, sizeOption, timeoutOption, type QuantityOption } from '@entrepot/core/formats';
import { z } from 'zod';

const DURATION = '(\\d+(\\.\\d+)?(ms|s|m|h|d|w))+';
const SIZE = '\\d+(\\.\\d+)? ?([kK]B|B|MB|GB|TB|KiB|MiB|GiB|TiB)?';

/** The schema of a duration that may be `forever`; milliseconds. */
export function endlessDuration() {
  const option = durationOption({ endless: true });
  return quantity(option, `^(0|forever|never|${DURATION})$`, z.literal(0), 'duration, `forever`');
}

/** The schema of a finite duration that may be 0; milliseconds. */
export function duration() {
  return quantity(durationOption(), `^(0|${DURATION})$`, z.literal(0), 'duration');
}

/** The schema of an age: a duration of more than 0; milliseconds. */
export function age() {
  return quantity(durationOption({ least: 1 }), `^(0|${DURATION})$`, z.literal(0), 'duration');
}

/** The schema of a time limit: more than 0, at most what a timer can hold; milliseconds. */
export function timeout() {
  return quantity(timeoutOption(), `^(0|${DURATION})$`, z.literal(0), 'duration');
}

/** The schema of a finite size; bytes. */
export function size({ least = 0 }: { readonly least?: number } = {}) {
  return quantity(sizeOption({ least }), `^${SIZE}$`, z.number(), 'size');
}

/** The schema of a size that may be `unlimited`; bytes. */
export function endlessSize(limits: { readonly least?: number } = {}) {
  return quantity(sizeOption({ ...limits, endless: true }), `^(unlimited|${SIZE})$`, z.number(), 'size, `unlimited`');
}

function quantity(
  { expected, read }: QuantityOption,
  pattern: string,
  number: z.ZodType<number, number>,
  form: string,
) {
  return z
    .union([z.string().meta({ pattern }), number], { error: expected })
    .transform(read)
    .meta({ form });
}
