import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

// Not `Via`: it has come to switch features off, compression by nginx among them (RFC 8586 §1), which would cost every
// fetch from such an upstream.

/** The header by which loops are found (RFC 8586), in lower case. */
export const LOOP_HEADER = 'cdn-loop';

/** Name of this process, in the header that loops are found by. */
export const OWN_NAME = `entrepot-${randomBytes(8).toString('hex')}`;

/** Servers that the current request has been through, if it has been through any. */
export const passedThrough = new AsyncLocalStorage<string>();

/** The servers that a request to an upstream has been through: this one, and those before it. */
export function loopHeader(): string {
  const before = passedThrough.getStore();
  return before === undefined ? OWN_NAME : `${before}, ${OWN_NAME}`;
}
