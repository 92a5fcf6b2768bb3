import type { AccessNeed, EntrepotError, LocalReply, RenderedError, RequestHead } from '@entrepot/core';
import { JSON_TYPE } from './registry-config.js';

/** Cargo prints the `detail` of each of the `errors` of a JSON body. */
export function renderError(error: EntrepotError): RenderedError {
  return {
    mediaType: JSON_TYPE,
    body: detail(error.expose ? error.message : 'the registry failed; its log says why'),
  };
}

/** Refuses a request in the form that cargo prints. */
export function refusal(status: number, message: string): LocalReply {
  return { status, headers: { 'Content-Type': JSON_TYPE }, body: detail(message) };
}

/** Asks cargo for a token, and browsers for a password. */
export function challenge(_need: AccessNeed, { baseUrl }: { readonly baseUrl: string }): string {
  return `Cargo login_url="${baseUrl}/me", Basic realm="entrepot", charset="UTF-8"`;
}

/**
 * The `Authorization` that stands for a token of cargo, which has no scheme: `user:password`, or a JSON Web Token.
 */
export function credentials({ header }: Pick<RequestHead, 'header'>): string | undefined {
  const token = header('authorization')?.trim();
  if (token === undefined || token === '' || /\s/.test(token)) return undefined;
  return token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Bearer ${token}`;
}

function detail(message: string): string {
  return JSON.stringify({ errors: [{ detail: message }] });
}
