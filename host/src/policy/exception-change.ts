import { EntrepotError } from '@entrepot/core';
import { z } from 'zod';
import type { ExceptionChange, KeptException } from '../drivers/sql/exception-store.js';
import { expiryOf } from './exception-form.js';

/** The most changes that are remembered of one exception. */
const MOST_CHANGES = 100;

const text = z.string().trim().min(1).max(500);

/** The body of a request that changes an exception. What it leaves out stays. */
export const exceptionChangeForm = z
  .strictObject({
    active: z.boolean({ error: 'expected true or false' }).optional(),
    /** A date, or a duration from now on: `30d`. */
    expires: text.optional(),
    reason: text.optional(),
    ticket: text.optional(),
    by: text.optional(),
  })
  .refine(({ by: _by, ...changes }) => Object.values(changes).some((one) => one !== undefined), {
    error: 'expected active, expires, reason or ticket, found none',
  })
  .refine(({ by, expires, reason }) => by !== undefined || (expires === undefined && reason === undefined), {
    error: 'by: expected who changes it',
  });

/** Reads a change. @throws EntrepotError `bad-request` with everything that is wrong */
export function exceptionChangeOf(form: unknown): z.output<typeof exceptionChangeForm> {
  const parsed = exceptionChangeForm.safeParse(form);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => [...path, message].join(': '));
  throw new EntrepotError('bad-request', lines.join('; '));
}

/**
 * Changes an exception, and records how it was before and who did it. Whoever has it hold for longer than it was approved for is
 * the only one who approves of that.
 * @param longest the longest time for which it may hold from now on, in milliseconds
 * @throws EntrepotError `bad-request` for a time that it cannot hold until
 */
export function changedException(
  kept: KeptException,
  { by, expires, ...changes }: z.output<typeof exceptionChangeForm>,
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
