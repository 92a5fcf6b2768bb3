import { EntrepotError } from '@entrepot/core';
import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { amount, instant, named } from '../http/operations/schemas.js';
import type { Collection } from '../space/collection.js';
import { batchOf, deleted, runState } from './space-schemas.js';

const PATH = '/-/api/v1/gc';

const run = named(
  'Collection',
  'A run that deletes blobs which nobody needs, as far as it has come.',
  z.object({
    state: runState,
    dryRun: z.boolean(),
    startedAt: instant,
    endedAt: instant.optional(),
    error: z.string().optional(),
    looked: amount.optional().describe('Blobs that were looked at.'),
    condemned: deleted.optional().describe('Blobs that nobody needs; they are deleted after the grace.'),
    rescued: amount.optional().describe('Condemned blobs that somebody needs again.'),
    deleted: deleted.optional().describe('Blobs that were deleted, which earlier runs had condemned.'),
    found: amount.optional().describe('Blobs that the store has and the catalogue had not.'),
    unfinished: amount.optional().describe('Unfinished uploads that were removed.'),
    unfinishedLeft: z.string().optional().describe('Why the store could not be asked for those.'),
    left: z.string().optional().describe('Why blobs without a row were left alone.'),
  }),
);

const common = { tag: 'space', path: PATH, access: 'administrator' } as const;

/** The operations of collection. */
export const GC = {
  get: operation({
    ...common,
    id: 'getCollection',
    summary: 'Reads how far the last collection of this process is.',
    method: 'get',
    replies: {
      200: { description: 'The run; none was asked for where it is absent.', json: z.object({ run: run.optional() }) },
    },
  }),
  begin: operation({
    ...common,
    id: 'beginCollection',
    summary: 'Begins to delete blobs that nobody needs.',
    method: 'post',
    body: {
      optional: true,
      schema: z.strictObject({
        dryRun: z.boolean().optional().describe('Tells what would go, and changes nothing.'),
        reconcile: z.boolean().optional().describe('Lists the store as well, to find blobs without a row.'),
        force: z.boolean().optional().describe('Lets more than a fifth of all blobs go for having had no row.'),
        batchSize: batchOf(10, 10_000).optional(),
      }),
    },
    replies: { 202: { description: 'It has begun.', json: z.object({ run }) } },
    errors: ['conflict'],
  }),
  cancel: operation({
    ...common,
    id: 'cancelCollection',
    summary: 'Ends the collection that was asked for.',
    method: 'delete',
    replies: { 200: { description: 'What it has done.', json: z.object({ run }) } },
    errors: ['not-found'],
  }),
};

/** Adds the deletion of what nobody needs: POST begins a run, GET tells how far it is, DELETE ends it. */
export function gcRoutes(operations: Operations, collection: Collection, usualBatch: number): void {
  operations.add(GC.get, () => json(200, { run: collection.status }));
  operations.add(GC.begin, ({ body: { batchSize = usualBatch, ...flags } }) =>
    json(202, { run: collection.begin({ ...flags, batchSize }) }),
  );
  operations.add(GC.cancel, async () => {
    const ended = await collection.cancel();
    if (ended === undefined)
      throw new EntrepotError('not-found', 'no collection is running that an administrator asked for');
    return json(200, { run: ended });
  });
}
