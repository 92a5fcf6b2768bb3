import { EntrepotError } from '@entrepot/core';
import type { Middleware } from 'koa';
import { LOOP_HEADER, OWN_NAME, passedThrough } from '../drivers/upstream/loop.js';

/** A header that is longer has been through more servers than any request should. */
const LONGEST = 1024;

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
