import { EntrepotError } from '../../api/errors.js';
import type { EngineRequest } from './request.js';

/** The refusal of a caller who has had their share. */
export interface Excess {
  /** Seconds after which a request is let through, if there is no other one before it. */
  readonly retryAfter: number;
  readonly message: string;
}

/** Limits how much each caller may ask for. */
export interface CallerLimits {
  /**
   * Counts a request, unless its caller has had their share. Quick: called for every request.
   * @param client the address that it came from; absent for the server's own questions
   * @param name of the caller, where it is known
   * @returns the refusal; a refused request does not count
   */
  take(client: string | undefined, name: string | undefined): Excess | undefined;
}

/** Counts a request. @throws EntrepotError `too-many-requests` for a caller who has had their share */
export function countRequest(
  limits: CallerLimits | undefined,
  { client }: Pick<EngineRequest, 'client'>,
  name?: string,
): void {
  const excess = limits?.take(client, name);
  if (excess === undefined) return;
  const { message, retryAfter } = excess;
  throw new EntrepotError('too-many-requests', message, { code: 'RATE_LIMITED', retryAfter });
}
