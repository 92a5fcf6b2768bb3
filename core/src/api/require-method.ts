import { EntrepotError } from './errors.js';

/** The most characters of an unknown method that a message quotes. */
const QUOTED = 32;

/**
 * Refuses methods other than `allowed` with 405 and `Allow` (RFC 9110 §15.5.6). HEAD counts as GET, and is allowed with it.
 * @param message for the client; the default names the method and what is expected
 * @returns the method, GET for HEAD
 * @throws EntrepotError `method-not-allowed`
 */
export function requireMethod<const Method extends string>(
  head: { readonly method: string },
  allowed: readonly Method[],
  message?: string,
): Method {
  const method = head.method === 'HEAD' ? 'GET' : head.method;
  const found = allowed.find((one) => one === method);
  if (found !== undefined) return found;
  const expected = allowed.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])).join(', ');
  const refused = `${head.method.slice(0, QUOTED)} is not possible here; expected ${expected}`;
  throw new EntrepotError('method-not-allowed', message ?? refused, { headers: { Allow: expected } });
}
