import { durationOption, sizeOption, timeoutOption } from '@entrepot/core/formats';
import { z } from 'zod';

const endlessDurationText = z.string().meta({ pattern: '^(0|forever|never|(\\d+(\\.\\d+)?(ms|s|m|h|d|w))+)$' });
const durationText = z.string().meta({ pattern: '^(0|(\\d+(\\.\\d+)?(ms|s|m|h|d|w))+)$' });
const sizeText = z.string().meta({ pattern: '^\\d+(\\.\\d+)? ?([kK]B|B|MB|GB|TB|KiB|MiB|GiB|TiB)?$' });
const endlessSizeText = z
  .string()
  .meta({ pattern: '^(unlimited|\\d+(\\.\\d+)? ?([kK]B|B|MB|GB|TB|KiB|MiB|GiB|TiB)?)$' });

/** The schema of a duration that may be `forever`; milliseconds. */
export function endlessDuration() {
  const { expected, read } = durationOption({ endless: true });
  return z
    .union([endlessDurationText, z.literal(0)], { error: expected })
    .transform(read)
    .meta({ form: 'duration, `forever`' });
}

/** The schema of a finite duration that may be 0; milliseconds. */
export function duration() {
  const { expected, read } = durationOption();
  return z
    .union([durationText, z.literal(0)], { error: expected })
    .transform(read)
    .meta({ form: 'duration' });
}

/** The schema of a time limit: more than 0, at most what a timer can hold; milliseconds. */
export function timeout() {
  const { expected, read } = timeoutOption();
  return z
    .union([durationText, z.literal(0)], { error: expected })
    .transform(read)
    .meta({ form: 'duration' });
}

/** The schema of a finite size; bytes. */
export function size({ least = 0 }: { readonly least?: number } = {}) {
  const { expected, read } = sizeOption({ least });
  return z.union([sizeText, z.number()], { error: expected }).transform(read).meta({ form: 'size' });
}

/** The schema of a size that may be `unlimited`; bytes. */
export function endlessSize() {
  const { expected, read } = sizeOption({ endless: true });
  return z
    .union([endlessSizeText, z.number()], { error: expected })
    .transform(read)
    .meta({ form: 'size, `unlimited`' });
}
