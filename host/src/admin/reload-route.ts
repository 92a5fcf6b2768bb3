import { z } from 'zod';
import type { ReloadOutcome } from '../config/reload-outcome.js';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { configurationProblem } from './policy-schemas.js';
import { named } from '../http/operations/schemas.js';

const outcome = named(
  'ReloadOutcome',
  'The result of reading the configuration again.',
  z.object({
    applied: z.boolean().describe('Whether it is in force. `false`: the one from before is.'),
    changes: z.array(
      z.object({
        key: z.string(),
        change: z.enum(['added', 'removed', 'changed']),
        from: z.string().optional(),
        to: z.string().optional(),
      }),
    ),
    problems: z.array(configurationProblem),
  }),
);

/** The operation that reloads the configuration. */
export const RELOAD = operation({
  id: 'reloadConfiguration',
  tag: 'server',
  summary: 'Reads the configuration again, and puts it in force.',
  method: 'post',
  path: '/-/api/v1/reload',
  access: 'administrator',
  replies: {
    200: { description: 'It is in force.', json: outcome },
    422: { description: 'The one from before is.', json: outcome },
  },
});

/** Adds POST, which reads the configuration again: 200 when it is in force, 422 when the one from before is. */
export function reloadRoute(operations: Operations, reload: () => Promise<ReloadOutcome>): void {
  operations.add(RELOAD, async () => {
    const result = await reload();
    return result.applied ? json(200, result) : json(422, result);
  });
}
