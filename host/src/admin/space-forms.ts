import { EntrepotError, isPlainText } from '@entrepot/core';
import { z } from 'zod';

const PLAIN = 'expected a text without NUL and lone surrogates';

function text(most: number) {
  return z.string().trim().min(1).max(most).refine(isPlainText, PLAIN);
}

/** Subject of a purge or a pin. Paths may be as long as the server takes them. */
const subject = text(8_192);
const by = text(500).optional();
const dryRun = z.boolean().default(false);

/** The body of a request for a purge. */
export const purgeForm = z.strictObject({
  subject,
  hosted: z.boolean().default(false),
  pinned: z.boolean().default(false),
  dryRun,
  batchSize: z.int().min(1).max(1_000).default(100),
  by,
});

/** The body of a request for a pin. */
export const pinForm = z.strictObject({ subject, note: text(500).optional(), dryRun, by });

/**
 * Reads a form.
 * @throws EntrepotError `bad-request` with everything that is wrong
 */
export function readForm<Form>(schema: z.ZodType<Form>, value: unknown): Form {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw new EntrepotError('bad-request', lines.join('; '));
}
