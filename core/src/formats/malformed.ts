import { EntrepotError } from '../api/errors.js';

/** The error for an answer of the upstream that is not what the route gives: an outage, so that a kept copy is served. */
export function malformed(subject: string, problem: string, cause?: unknown): EntrepotError {
  return new EntrepotError('upstream-unavailable', `the upstream's answer for ${subject} is malformed: ${problem}`, {
    code: 'UPSTREAM_MALFORMED',
    cause,
  });
}

/** Text from outside, as messages show it: quoted, and no more than its beginning. */
export function printed(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
