import { EntrepotError } from '@entrepot/core';
import { z } from 'zod';
import { trimmedText } from '../config/texts.js';
import type { ExceptionChange, KeptException } from '../drivers/sql/exception-store.js';
import { expiryOf } from './exception-form.js';

/** The most changes that are remembered of one exception. */
const MOST_CHANGES = 100;

const text = trimmedText(500);

/** The body of a request that changes an exception. What it leaves out stays. */
export const exceptionChangeForm = z
  .strictObject({
    active: z.boolean('expected true or false').optional(),
    expires: text.optional().describe('A date, or a duration from now on: 30d.'),
    reason: text.optional(),
    ticket: text.optional(),
    by: text
      .optional()
      .describe('Who changes it, where the credentials do not say it. Needed for another term or reason.'),
  })
  .refine(({ by: _by, ...changes }) => Object.values(changes).some((one) => one !== undefined), {
    error: 'expected active, expires, reason or ticket, found none',
  });

type Form = z.output<typeof exceptionChangeForm>;

/** Passes on a change that says who makes it, where it has to. @throws EntrepotError `bad-request` */
export function requireAuthor(form: Form): Form {
  const { by, expires, reason } = form;
  if (by !== undefined || (expires === undefined && reason === undefined)) return form;
  throw new EntrepotError('bad-request', 'by: expected who changes it');
}

/**
 * Changes an exception, and records how it was before and who did it. Whoever has it hold for longer than it was approved for is
 * the only one who approves of that.
 * @param longest the longest time for which it may hold from now on, in milliseconds
 * @throws EntrepotError `bad-request` for a time that it cannot hold until
 */
export function changedException(
  kept: KeptException,
  { by, expires, ...changes }: Form,
  now: number,
  longest: number,
): KeptException {
  const { active = kept.active, reason = kept.reason, ticket = kept.ticket } = changes;
  const expiresAt = expires === undefined ? kept.expiresAt : expiryOf(expires, now, longest);
  const isLonger = expiresAt > kept.expiresAt;
  const before: ExceptionChange = {
    at: now,
    by,
    ...(active !== kept.active && { active: kept.active }),
    ...(expiresAt !== kept.expiresAt && { expiresAt: kept.expiresAt }),
    ...(reason !== kept.reason && { reason: kept.reason }),
    ...(ticket !== kept.ticket && { ticket: kept.ticket ?? '' }),
    ...(isLonger && { approvedBy: kept.approvedBy }),
  };
  return {
    ...kept,
    active,
    reason,
    ticket,
    expiresAt,
    ...(isLonger && by !== undefined && { approvedBy: [by] }),
    changes: [...(kept.changes ?? []), before].slice(-MOST_CHANGES),
  };
}
