import { EntrepotError, type ErrorDetails, type ErrorKind, type RenderedError } from '@entrepot/core';
import { malformed } from '@entrepot/core/formats';
import { MalformedProofError, ProofError } from './note.js';

/** `go` shows a body of eight lines and 648 bytes at the most (cmd/go/internal/web, maxErrorDetailBytes). */
const LONGEST_LINE = 600;

/**
 * Prints one line of plain text, which `go` shows. 404 and 410 tell it to look elsewhere (`,direct`), so nothing else may use
 * them: a refusal is 403 and an outage 5xx.
 */
export function renderError(error: EntrepotError): RenderedError {
  const message = error.expose ? error.message : 'the module proxy failed; its log says why';
  const line = message.replace(/[^\x20-\x7e]+/g, ' ').slice(0, LONGEST_LINE);
  const prefix = error.kind === 'not-found' && !line.startsWith('not found') ? 'not found: ' : '';
  // `go` gives up at a 503 as it does at a 403, but prints the reason of the latter.
  const status = error.code === 'SCAN_PENDING' ? 403 : undefined;
  return { status, mediaType: 'text/plain; charset=utf-8', body: `${prefix}${line}\n` };
}

/** Makes an error with a code of its own. */
export function failure(kind: ErrorKind, code: string, message: string, details: ErrorDetails = {}): EntrepotError {
  return new EntrepotError(kind, message, { ...details, code });
}

/** Makes the error for bytes that are not what the ecosystem promised. */
export function mismatch(subject: string, problem: string, code = 'CHECKSUM_MISMATCH'): EntrepotError {
  return failure('integrity', code, `${subject}: ${problem}; nothing was stored`);
}

/** Translates an error of a proof to one of the pipeline. */
export function proofFailure(subject: string, error: unknown): unknown {
  if (error instanceof MalformedProofError) return malformed(subject, error.message);
  if (error instanceof ProofError) return mismatch(subject, error.message, 'CHECKSUM_PROOF');
  return error;
}
