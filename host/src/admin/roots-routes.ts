import type { Logger } from '@entrepot/core';
import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { instant, named, plainText, repositoryName } from '../http/operations/schemas.js';
import type { ListedRoot, RootRefresher } from '../roots/root-refresher.js';
import { administratorOf } from './admin-access.js';

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

const root = named(
  'Root',
  'A part of an upstream that is published as a whole.',
  z.object({
    repository: z.string(),
    name: z.string().describe('Its path below the repository. Empty: the repository itself.'),
    state: z.string(),
    since: instant.optional(),
    generation: z.string().optional(),
    publishedAt: instant.optional(),
    date: instant.optional(),
    triedAt: instant.optional(),
    usedAt: instant.optional(),
    error: z.string().optional(),
    dueAt: instant.optional(),
  }),
);

const refreshed = z.object({
  running: z.boolean().describe('Whether it goes on: who asks again waits for the same.'),
  root: root.optional(),
});

/** The operations of roots. */
export const ROOTS = {
  list: operation({
    id: 'listRoots',
    tag: 'repositories',
    summary: 'Lists roots, with what was published last.',
    method: 'get',
    path: PATH,
    access: 'administrator',
    query: z.strictObject({ repository: repositoryName.optional() }),
    replies: { 200: { description: 'The roots.', json: z.object({ roots: z.array(root) }) } },
    errors: ['not-found'],
  }),
  refresh: operation({
    id: 'refreshRoot',
    tag: 'repositories',
    summary: 'Asks the upstream for what it has of a root now, and publishes it.',
    method: 'post',
    path: `${PATH}/refresh`,
    access: 'administrator',
    body: {
      schema: z.strictObject({
        repository: repositoryName,
        root: plainText(LONGEST, 0).describe('The path of a root below the repository, or an empty text.'),
      }),
    },
    replies: {
      200: { description: 'It has ended.', json: refreshed },
      202: { description: 'It goes on.', json: refreshed },
    },
    errors: ['not-found', 'conflict'],
  }),
};

/**
 * Adds roots to the API of administration: GET lists them, `POST /roots/refresh` refreshes one. The answer comes when that has ended, or
 * after a while, when `running` says that it goes on.
 */
export function rootsRoutes(operations: Operations, roots: RootRefresher, logger: Logger): void {
  operations.add(ROOTS.list, async ({ query: { repository } }) => json(200, { roots: await roots.list(repository) }));
  operations.add(ROOTS.refresh, async ({ body: { repository, root: name }, ctx }) => {
    const found = await roots.refresh(repository, name, PATIENCE);
    if (found === undefined) return json(202, { running: true });
    const { state, generation, error } = found;
    logger.info({ by: administratorOf(ctx).name, repository, root: name, state, generation, error }, 'refreshed');
    return json(200, { running: false, root: found });
  });
}
