import { parseDuration } from '@entrepot/core/formats';
import { z } from 'zod';
import { plainText } from '../config/texts.js';
import type { KeptException } from '../drivers/sql/exception-store.js';

/** A selection of exceptions, as it stands in a query. */
export const exceptionFilter = z.strictObject({
  active: z
    .enum(['true', 'false'], 'expected true or false')
    .optional()
    .describe('`true`: those in force; `false`: those that are off, or have ended.'),
  kind: z.enum(['risk-accepted', 'false-positive'], 'expected risk-accepted or false-positive').optional(),
  advisory: plainText(500).optional().describe('Any name of an advisory.'),
  endsWithin: plainText(20)
    .refine((text) => parseDuration(text) !== undefined, 'expected a duration such as 7d')
    .optional()
    .describe('A duration, such as 7d: those in force that end within it.'),
});

/** Selects exceptions. */
export function selectExceptions(
  all: readonly KeptException[],
  { active, kind, advisory, endsWithin }: z.output<typeof exceptionFilter>,
  now: number,
): readonly KeptException[] {
  const span = endsWithin === undefined ? undefined : parseDuration(endsWithin);
  const wanted = advisory?.toLowerCase();
  return all.filter((one) => {
    const isInForce = one.active && one.expiresAt > now;
    if (active !== undefined && String(isInForce) !== active) return false;
    if (kind !== undefined && one.kind !== kind) return false;
    if (wanted !== undefined && one.advisories?.some((name) => name.toLowerCase() === wanted) !== true) return false;
    return span === undefined || (isInForce && one.expiresAt <= now + span);
  });
}
