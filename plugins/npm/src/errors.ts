import { EntrepotError, type RenderedError } from '@entrepot/core';

/** The longest notice, in characters. */
const LONGEST_NOTICE = 500;

/** npm, pnpm, yarn and bun print the `error` member of a JSON body; npm a notice besides, also where it hides the body. */
export function renderError(error: EntrepotError): RenderedError {
  const refused = error.kind === 'policy-denied' || error.kind === 'scan-unavailable';
  const notice = error.message.replace(/[^\x20-\x7e]+/g, ' ').slice(0, LONGEST_NOTICE);
  return {
    // npm's registry answers a version that exists with 403; its clients print the reason of that one.
    status: error.kind === 'conflict' ? 403 : error.status,
    mediaType: 'application/json',
    body: JSON.stringify({ error: error.expose ? error.message : 'the registry proxy failed; its log says why' }),
    ...(refused && { headers: { 'npm-notice': notice } }),
  };
}
