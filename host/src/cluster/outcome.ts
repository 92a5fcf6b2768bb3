import { EntrepotError, ERROR_KINDS, type ErrorKind } from '@entrepot/core';

/** Longer messages are cut. Characters. */
const LONGEST = 2_000;

/** An answer of upstreams as text, for processes that did not ask them. */
export function outcomeOf({ kind, code, status, retryAfter, message }: EntrepotError): string {
  return JSON.stringify({ kind, code, status, retryAfter, message: message.slice(0, LONGEST) });
}

/** The error that `outcomeOf` wrote. `undefined`: it is of another version of Entrepot. */
export function readOutcome(text: string): EntrepotError | undefined {
  try {
    const { kind, code, status, retryAfter, message } = JSON.parse(text) as Record<string, unknown>;
    if (!ERROR_KINDS.includes(kind as ErrorKind)) return undefined;
    return new EntrepotError(kind as ErrorKind, String(message), {
      code: String(code),
      status: Number(status),
      retryAfter: typeof retryAfter === 'number' ? retryAfter : undefined,
    });
  } catch {
    return undefined;
  }
}
