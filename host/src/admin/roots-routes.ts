import { EntrepotError, type Logger } from '@entrepot/core';
import { fieldsOf } from '@entrepot/core/formats';
import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { readValue } from '../http/read-body.js';
import type { ListedRoot, RootRefresher } from '../roots/root-refresher.js';
import { administratorOf } from './admin-access.js';
import { textOf } from './admin-input.js';

const PATH = '/-/api/v1/roots';
/** The longest that an answer waits for the end of a refresh, in milliseconds. */
const PATIENCE = 20_000;
/** The longest name of a root, in characters. */
const LONGEST = 1024;

/** The answer to a refresh. */
export interface RefreshAnswer {
  /** Whether it goes on: who asks again waits for the same. */
  readonly running: boolean;
  /** The root after it. Absent while it is running. */
  readonly root?: ListedRoot | undefined;
}

/**
 * Adds roots to the API of administration: GET lists them, `POST /roots/refresh` refreshes one. The answer comes when that has ended, or
 * after a while, when `running` says that it goes on.
 */
export function rootsRoutes(router: Router, roots: RootRefresher, guard: Middleware, logger: Logger): void {
  router.get(PATH, guard, async (ctx) => {
    ctx.body = { roots: await roots.list(textOf(ctx, 'repository')) };
  });
  router.post(`${PATH}/refresh`, guard, async (ctx) => {
    const { repository, root: name } = wantedOf(await readValue(ctx.req));
    const root = await roots.refresh(repository, name, PATIENCE);
    const answer: RefreshAnswer = { running: root === undefined, root };
    ctx.body = answer;
    if (root === undefined) ctx.status = 202;
    else {
      const { state, generation, error } = root;
      logger.info({ by: administratorOf(ctx).name, repository, root: name, state, generation, error }, 'refreshed');
    }
  });
}

/** Reads what is to be refreshed. @throws EntrepotError `bad-request` */
function wantedOf(value: unknown): { readonly repository: string; readonly root: string } {
  const { repository, root, ...others } = fieldsOf(value);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new EntrepotError('bad-request', `${unknown}: expected nothing but repository and root`);
  if (typeof repository !== 'string')
    throw new EntrepotError('bad-request', 'repository: expected the name of a repository');
  if (typeof root !== 'string' || root.length > LONGEST)
    throw new EntrepotError('bad-request', 'root: expected the path of a root below the repository, or an empty text');
  return { repository, root };
}
