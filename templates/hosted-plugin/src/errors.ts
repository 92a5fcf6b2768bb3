import type { EntrepotError, RenderedError } from '@entrepot/core';

/** Errors in the shape that Acme's client prints. */
export function renderError({ code, message, expose }: EntrepotError): RenderedError {
  const body = JSON.stringify({ code, message: expose ? message : 'Internal error' });
  return { mediaType: 'application/json', body: `${body}\n` };
}
