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

/** Text of an upstream that is not the format that was expected. Becomes `malformed` where the subject is known. */
export class PageFormatError extends Error {
  override readonly name = 'PageFormatError';
}
