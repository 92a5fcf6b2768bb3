import { isPlainText } from '@entrepot/core';
import { z } from 'zod';

/** A text without NUL and lone surrogates, which no database cuts or changes. */
export function plainText(most: number, least = 1) {
  return z
    .string()
    .min(least, `expected a text of ${least} to ${most} characters`)
    .max(most, `expected a text of at most ${most} characters`)
    .refine(isPlainText, 'expected a text without NUL and lone surrogates')
    .meta({ pattern: '^[^\\u0000]*$' });
}

/** A text that is more than spaces, without those around it. */
export function trimmedText(most: number) {
  return plainText(most)
    .refine((value) => value.trim() !== '', 'expected a text that is more than spaces')
    .transform((value) => value.trim())
    .meta({ pattern: '^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$' });
}
