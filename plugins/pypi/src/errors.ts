import { EntrepotError, type RenderedError } from '@entrepot/core';
import { JsonFormatError, malformed } from '@entrepot/core/formats';

/** Prints an error: pip shows the status line only, uv and curl the body, so plain text serves them all. */
export function renderError(error: EntrepotError): RenderedError {
  return {
    // The public index's answer for a file that exists; twine takes it for "skip existing".
    status: error.kind === 'conflict' ? 400 : error.status,
    mediaType: 'text/plain; charset=utf-8',
    body: `${error.expose ? error.message : 'the index proxy failed; its log says why'}\n`,
  };
}

/** Text of an upstream that is not the format that was expected. Becomes `malformed` where the subject is known. */
export class PageFormatError extends Error {
  override readonly name = 'PageFormatError';
}

/** Gives the error to throw where reading `subject` failed: `malformed` for a body of another format. */
export function readingError(subject: string, error: unknown): unknown {
  const isFormat = error instanceof PageFormatError || error instanceof JsonFormatError;
  return isFormat ? malformed(subject, error.message, error) : error;
}
