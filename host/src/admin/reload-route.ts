import type Router from '@koa/router';
import type { Middleware } from 'koa';
import type { ReloadOutcome } from '../config/reload-outcome.js';

/** Adds POST, which reads the configuration again: 200 when it is in force, 422 when the one from before is. */
export function reloadRoute(router: Router, reload: () => Promise<ReloadOutcome>, guard: Middleware): void {
  router.post('/-/api/v1/reload', guard, async (ctx) => {
    const outcome = await reload();
    ctx.status = outcome.applied ? 200 : 422;
    ctx.body = outcome;
  });
}
