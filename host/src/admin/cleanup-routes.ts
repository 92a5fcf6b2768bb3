import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { amount, bytes, instant, named, repositoryName } from '../http/operations/schemas.js';
import type { Cleanup } from '../space/cleanup.js';
import { runId } from './space-schemas.js';

/** The longest that an answer waits for the end of a cleanup, in milliseconds. */
const PATIENCE = 20_000;

const run = named(
  'CleanupRun',
  'A cleanup of hosted repositories by their rules.',
  z.object({
    id: z.string(),
    running: z.boolean(),
    reports: z.array(
      z.object({
        repository: z.string(),
        dryRun: z.boolean(),
        startedAt: instant,
        endedAt: instant.optional(),
        looked: amount,
        removed: amount,
        kept: amount,
        bytes,
        rules: z.array(z.object({ rule: z.string(), removed: amount })),
        refused: z.record(z.string(), amount).describe('The number of the kept that a rule would have removed.'),
        removals: z
          .array(z.object({ name: z.string(), version: z.string().optional(), digest: z.string(), rule: amount }))
          .describe('The first of those that were removed.'),
        error: z.string().optional(),
      }),
    ),
  }),
);

/** The operations of cleanup. */
export const CLEANUP = {
  begin: operation({
    id: 'beginCleanup',
    tag: 'space',
    summary: 'Removes versions from hosted repositories by their rules.',
    description: 'The answer comes when it has ended, or after 20 seconds, when `running` says that it goes on.',
    method: 'post',
    path: '/-/api/v1/cleanup',
    access: 'administrator',
    body: {
      schema: z.strictObject({
        repository: repositoryName.optional().describe('Left out: all that have rules.'),
        dryRun: z.boolean('expected true or false'),
      }),
    },
    replies: { 200: { description: 'The cleanup, as far as it has come.', json: run } },
    errors: ['not-found'],
  }),
  get: operation({
    id: 'getCleanup',
    tag: 'space',
    summary: 'Reads how far a cleanup of this process is.',
    method: 'get',
    path: '/-/api/v1/cleanup/{id}',
    access: 'administrator',
    parameters: runId,
    replies: { 200: { description: 'The cleanup, as far as it has come.', json: run } },
    errors: ['not-found'],
  }),
};

/**
 * Adds cleanup to the API of administration. `POST /cleanup` begins one. The answer comes when it has ended, or after a while, when
 * `running` says that it goes on; `GET /cleanup/<id>` then tells how far it is.
 */
export function cleanupRoutes(operations: Operations, cleanup: Cleanup): void {
  operations.add(CLEANUP.begin, ({ body }) => answer(cleanup.begin(body).id));
  operations.add(CLEANUP.get, ({ parameters }) => answer(parameters.id));

  async function answer(wanted: string) {
    const { id, running, reports } = await cleanup.find(wanted, PATIENCE);
    return json(200, { id, running, reports });
  }
}
