import { EntrepotError, type RenderedError } from '@entrepot/core';

/** pip prints the status line only, uv and curl the body: plain text serves them all. */
export function renderError(error: EntrepotError): RenderedError {
  return {
    // What the public index answers for a file that exists; twine takes it for "skip existing".
    status: error.kind === 'conflict' ? 400 : error.status,
    mediaType: 'text/plain; charset=utf-8',
    body: `${error.expose ? error.message : 'the index proxy failed; its log says why'}\n`,
  };
}

/** The error for an answer of the upstream that is not what the route gives: an outage, so that a kept copy is served. */
export function malformed(subject: string, problem: string, cause?: unknown): EntrepotError {
  return new EntrepotError('upstream-unavailable', `the upstream's answer for ${subject} is malformed: ${problem}`, {
    code: 'UPSTREAM_MALFORMED',
    cause,
  });
}

/** Text of an upstream that is not the format that was expected. Becomes `malformed` where the subject is known. */
export class PageFormatError extends Error {
  override readonly name = 'PageFormatError';
}
