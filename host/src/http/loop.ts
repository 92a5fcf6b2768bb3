import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { EntrepotError } from '@entrepot/core';
import type { Middleware } from 'koa';

// Not `Via`: it has come to switch features off, compression by nginx among them (RFC 8586 §1), which would cost every
// fetch from such an upstream.

/** The header by which loops are found (RFC 8586), in lower case. */
export const LOOP_HEADER = 'cdn-loop';

/** A header that is longer has been through more servers than any request should. */
const LONGEST = 1024;

/** Name of this process, in the header that loops are found by. */
const OWN_NAME = `entrepot-${randomBytes(8).toString('hex')}`;

/** Servers that the current request has been through, if it has been through any. */
const passedThrough = new AsyncLocalStorage<string>();

/** The servers that a request to an upstream has been through: this one, and those before it. */
export function loopHeader(): string {
  const before = passedThrough.getStore();
  return before === undefined ? OWN_NAME : `${before}, ${OWN_NAME}`;
}

/** Answers at once what this process sent itself, also by others: it would wait for its own answer until a timeout ends it. */
export const refuseLoops: Middleware = (ctx, next) => {
  const passed = ctx.req.headers[LOOP_HEADER];
  if (typeof passed !== 'string') return next();
  if (passed.length <= LONGEST && !passed.includes(OWN_NAME)) return passedThrough.run(passed, next);
  throw new EntrepotError(
    'upstream-unavailable',
    'An upstream of this server leads back to it; expected the URL of another server as upstream',
    { code: 'LOOP_DETECTED', status: 508 },
  );
};
