import { EntrepotError } from '@entrepot/core';
import { parseDuration } from '@entrepot/core/formats';
import type { KeptException } from '../drivers/sql/exception-store.js';

/** A selection of exceptions, as it stands in a query. */
export interface ExceptionFilter {
  /** `true`: those in force; `false`: those that are off, or have ended. */
  readonly active?: string | undefined;
  readonly kind?: string | undefined;
  /** Any name of an advisory. */
  readonly advisory?: string | undefined;
  /** A duration: those in force that end within it. */
  readonly endsWithin?: string | undefined;
}

const KINDS: readonly string[] = ['risk-accepted', 'false-positive'] satisfies KeptException['kind'][];

/** Selects exceptions. @throws EntrepotError `bad-request` for a value that nothing has */
export function selectExceptions(
  all: readonly KeptException[],
  { active, kind, advisory, endsWithin }: ExceptionFilter,
  now: number,
): readonly KeptException[] {
  if (active !== undefined && active !== 'true' && active !== 'false') throw wrong('active', 'true or false');
  if (kind !== undefined && !KINDS.includes(kind)) throw wrong('kind', KINDS.join(' or '));
  const span = endsWithin === undefined ? undefined : parseDuration(endsWithin);
  if (endsWithin !== undefined && span === undefined) throw wrong('endsWithin', 'a duration such as 7d');
  const wanted = advisory?.toLowerCase();
  return all.filter((one) => {
    const isInForce = one.active && one.expiresAt > now;
    if (active !== undefined && String(isInForce) !== active) return false;
    if (kind !== undefined && one.kind !== kind) return false;
    if (wanted !== undefined && one.advisories?.some((name) => name.toLowerCase() === wanted) !== true) return false;
    return span === undefined || (isInForce && one.expiresAt <= now + span);
  });
}

function wrong(name: string, expected: string): EntrepotError {
  return new EntrepotError('bad-request', `${name}: expected ${expected}`);
}
