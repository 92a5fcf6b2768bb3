import { EntrepotError } from '@entrepot/core';
import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { amount, instant, named } from '../http/operations/schemas.js';
import type { Cleanup } from '../space/cleanup.js';
import type { Space } from '../space/space.js';
import { runId, runState } from './space-schemas.js';

const PATH = '/-/api/v1/jobs';

const job = named(
  'Job',
  'Long work of this process, which goes on or has ended.',
  z.object({
    id: z.string(),
    kind: z.enum(['gc', 'verify', 'purge', 'cleanup']),
    state: runState,
    dryRun: z.boolean(),
    background: z.boolean().describe('Whether nobody asked for it.'),
    subject: z.string().optional().describe('What it is about.'),
    startedAt: instant,
    endedAt: instant.optional(),
    done: amount.optional().describe('The number of things that were looked at.'),
    total: amount.optional().describe('The number of all of them, where that is known.'),
    error: z.string().optional(),
    canCancel: z.boolean(),
  }),
);

type Job = z.input<typeof job>;

const common = { tag: 'jobs', access: 'administrator' } as const;

/** The operations of jobs. */
export const JOBS = {
  list: operation({
    ...common,
    id: 'listJobs',
    summary: 'Lists long work of this process: collection, verification, purges, cleanup.',
    method: 'get',
    path: PATH,
    replies: { 200: { description: 'What began last comes first.', json: z.object({ jobs: z.array(job) }) } },
  }),
  get: operation({
    ...common,
    id: 'getJob',
    summary: 'Reads how far a job is.',
    method: 'get',
    path: `${PATH}/{id}`,
    parameters: runId,
    replies: { 200: { description: 'The job.', json: job } },
    errors: ['not-found'],
  }),
  cancel: operation({
    ...common,
    id: 'cancelJob',
    summary: 'Ends a job. What it has done stays done.',
    method: 'delete',
    path: `${PATH}/{id}`,
    parameters: runId,
    replies: { 200: { description: 'The job.', json: job } },
    errors: ['not-found', 'conflict'],
  }),
};

export interface JobRoutesOptions {
  readonly space: Pick<Space, 'collection' | 'verification' | 'purging'>;
  readonly cleanup: Cleanup;
}

/** Adds one list of all long work, whichever operation began it. */
export function jobRoutes(operations: Operations, options: JobRoutesOptions): void {
  const { collection, verification, purging } = options.space;
  operations.add(JOBS.list, () => json(200, { jobs: jobsOf(options) }));
  operations.add(JOBS.get, ({ parameters: { id } }) => json(200, find(id)));
  operations.add(JOBS.cancel, async ({ parameters: { id } }) => {
    const { kind, state, canCancel } = find(id);
    if (state !== 'running') throw new EntrepotError('conflict', `The job ${id} has ended already`);
    if (!canCancel) throw new EntrepotError('conflict', `The job ${id} cannot be ended; expected one with canCancel`);
    if (kind === 'gc') await collection.cancel();
    else if (kind === 'verify') await verification.cancel();
    else await purging.cancel(id.slice('purge-'.length));
    return json(200, find(id));
  });

  /** @throws EntrepotError `not-found` */
  function find(id: string): Job {
    const found = jobsOf(options).find((one) => one.id === id);
    if (found === undefined)
      throw new EntrepotError('not-found', 'This process has no such job; GET jobs lists those that it has');
    return found;
  }
}

function jobsOf({ space: { collection, verification, purging }, cleanup }: JobRoutesOptions): readonly Job[] {
  const { status: gc } = collection;
  const { asked, background } = verification.status;
  const jobs: Job[] = [
    ...(gc === undefined
      ? []
      : [{ id: 'gc', kind: 'gc' as const, background: false, done: gc.looked, ...timesOf(gc) }]),
    ...[asked, background].flatMap((run, at): Job[] => {
      if (run === undefined) return [];
      const isBackground = at === 1;
      return [
        {
          id: isBackground ? 'verify-background' : 'verify',
          kind: 'verify',
          background: isBackground,
          done: run.looked,
          total: run.total.amount,
          ...timesOf(run),
          canCancel: !isBackground && run.state === 'running',
        },
      ];
    }),
    ...purging.list().map((run): Job => ({
      id: `purge-${run.id}`,
      kind: 'purge',
      background: false,
      subject: run.subject,
      done: run.entries,
      ...timesOf(run),
    })),
    ...cleanup.list().flatMap(({ id, running, reports }): Job[] => {
      const [first] = reports;
      if (first === undefined) return [];
      const last = reports.at(-1);
      const error = reports.find((report) => report.error !== undefined)?.error;
      return [
        {
          id: `cleanup-${id}`,
          kind: 'cleanup',
          background: false,
          subject: reports.map(({ repository }) => repository).join(', '),
          dryRun: first.dryRun,
          state: running ? 'running' : error === undefined ? 'done' : 'failed',
          startedAt: first.startedAt,
          endedAt: running ? undefined : last?.endedAt,
          done: reports.reduce((sum, { looked }) => sum + looked, 0),
          error,
          canCancel: false,
        },
      ];
    }),
  ];
  return jobs.sort((one, other) => other.startedAt - one.startedAt);
}

function timesOf({
  state,
  dryRun,
  startedAt,
  endedAt,
  error,
}: Pick<Job, 'state' | 'dryRun' | 'startedAt' | 'endedAt' | 'error'>) {
  return { state, dryRun, startedAt, endedAt, error, canCancel: state === 'running' };
}
