import { randomUUID } from 'node:crypto';
import { EntrepotError } from '@entrepot/core';
import { parseDuration, printDuration } from '@entrepot/core/formats';
import { parsePackagePattern } from '@entrepot/core/engine';
import { z } from 'zod';
import { trimmedText } from '../config/texts.js';
import type { KeptException } from '../drivers/sql/exception-store.js';

const text = trimmedText(500);
const texts = z.array(text).min(1).max(100);
const DAY = 86_400_000;

/** The fields of a request for an exception, but for who answers for it. */
export const exceptionFields = {
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
    .optional(),
  repositories: texts.optional().describe('Names, with `*` for any characters. Left out: all.'),
  purl: z
    .array(text.refine((one) => parsePackagePattern(one) !== undefined, 'expected package URLs'))
    .min(1)
    .max(100)
    .optional()
    .describe('Package URLs, with `*` for any characters.'),
  versions: texts.optional(),
  rules: texts.optional().describe('The ids of rules. Left out: all.'),
  advisories: texts.optional().describe('Advisories by any of their names.'),
  kind: z.enum(['risk-accepted', 'false-positive']).default('risk-accepted'),
  reason: text,
  ticket: text.optional(),
  expires: text.describe('A date, or a duration from now on: 30d.'),
};

const exceptionForm = z
  .strictObject({ ...exceptionFields, by: text })
  .refine(({ purl, advisories }) => purl !== undefined || advisories !== undefined, {
    error: 'expected purl, advisories or both, found neither',
  });

/**
 * The exception that a form asks for.
 * @param longest the longest time for which it may hold, in milliseconds
 * @throws EntrepotError `bad-request` with everything that is wrong
 */
export function exceptionOf(form: unknown, now: number, longest: number): KeptException {
  const parsed = exceptionForm.safeParse(form);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'exception'}: ${message}`);
    throw new EntrepotError('bad-request', lines.join('; '));
  }
  const { id = randomUUID(), repositories, purl, versions, by, expires, ...rest } = parsed.data;
  return {
    ...rest,
    id,
    scope: { repositories, purl, versions },
    requestedBy: [by],
    approvedBy: [by],
    createdAt: now,
    expiresAt: expiryOf(expires, now, longest),
    active: true,
  };
}

/** When something ends that ends at a date, or after a duration. @throws EntrepotError `bad-request` */
export function expiryOf(expires: string, now: number, longest: number): number {
  const span = parseDuration(expires);
  const at = span === undefined ? Date.parse(expires) : now + span;
  if (Number.isNaN(at)) throw new EntrepotError('bad-request', 'expires: expected a date or a duration such as 30d');
  if (at <= now)
    throw new EntrepotError('bad-request', 'expires: expected a time in the future, found one in the past');
  if (at > now + longest) {
    throw new EntrepotError(
      'bad-request',
      `expires: expected at most ${printDuration(Math.floor(longest / DAY) * DAY || longest)} from now`,
    );
  }
  return Math.floor(at);
}
