import { EntrepotError, type Clock } from '@entrepot/core';
import { z } from 'zod';
import type { KeptException } from '../drivers/sql/exception-store.js';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { plainText } from '../http/operations/schemas.js';
import { changedException, exceptionChangeForm, requireAuthor } from '../policy/exception-change.js';
import { exceptionFilter, selectExceptions } from '../policy/exception-filter.js';
import { exceptionFields, exceptionOf, expiryOf } from '../policy/exception-form.js';
import type { Governance } from '../policy/governance.js';
import { exceptionFormsOf, vexDocument, vexOf } from '../policy/vex.js';
import { administratorOf } from './admin-access.js';
import { by, exception } from './policy-schemas.js';
import { runId } from './space-schemas.js';

const PATH = '/-/api/v1/exceptions';
/** The largest OpenVEX document, in bytes: one of ten thousand statements has a few million. */
const LARGEST_VEX = 16 * 1024 * 1024;
const VEX_PATH = '/-/api/v1/vex';
const common = { tag: 'policy', access: 'administrator' } as const;
const one = { description: 'The exception.', json: exception };

/** The operations of exceptions. */
export const EXCEPTIONS = {
  list: operation({
    ...common,
    id: 'listExceptions',
    summary: 'Lists exceptions, those that have ended too.',
    method: 'get',
    path: PATH,
    query: exceptionFilter,
    replies: { 200: { description: 'The exceptions.', json: z.object({ exceptions: z.array(exception) }) } },
  }),
  add: operation({
    ...common,
    id: 'addException',
    summary: 'Makes an exception from rules.',
    method: 'post',
    path: PATH,
    body: { schema: z.strictObject({ ...exceptionFields, by }) },
    replies: { 201: one },
    errors: ['conflict'],
  }),
  get: operation({
    ...common,
    id: 'getException',
    summary: 'Reads one exception.',
    method: 'get',
    path: `${PATH}/{id}`,
    parameters: runId,
    replies: { 200: one },
    errors: ['not-found'],
  }),
  approve: operation({
    ...common,
    id: 'approveException',
    summary: 'Adds an approval, for rules that want two.',
    method: 'post',
    path: `${PATH}/{id}/approve`,
    parameters: runId,
    body: { schema: z.strictObject({ by }), optional: true },
    replies: { 200: one },
    errors: ['not-found'],
  }),
  change: operation({
    ...common,
    id: 'changeException',
    summary: 'Suspends an exception, puts it in force again, or changes its term or reason.',
    method: 'patch',
    path: `${PATH}/{id}`,
    parameters: runId,
    body: { schema: exceptionChangeForm },
    replies: { 200: one },
    errors: ['not-found'],
  }),
  remove: operation({
    ...common,
    id: 'removeException',
    summary: 'Removes an exception.',
    method: 'delete',
    path: `${PATH}/{id}`,
    parameters: runId,
    replies: { 200: { description: 'It is gone.', json: z.object({}) } },
    errors: ['not-found'],
  }),
  exportVex: operation({
    ...common,
    id: 'exportVex',
    summary: 'Writes the exceptions for advisories as an OpenVEX document.',
    method: 'get',
    path: VEX_PATH,
    replies: {
      200: {
        description: 'The document.',
        json: z.looseObject({ '@context': z.string(), statements: z.array(z.unknown()) }),
      },
    },
  }),
  importVex: operation({
    ...common,
    id: 'importVex',
    summary: 'Makes exceptions from an OpenVEX document.',
    method: 'post',
    path: VEX_PATH,
    query: z.strictObject({
      expires: plainText(100).optional().describe('A date, or a duration such as 30d. Left out: the longest term.'),
    }),
    body: { schema: vexDocument, maxBytes: LARGEST_VEX },
    replies: { 201: { description: 'The exceptions.', json: z.object({ exceptions: z.array(exception) }) } },
    errors: ['conflict'],
  }),
};

export interface ExceptionRoutesOptions {
  readonly governance: Governance;
  readonly clock: Clock;
  /** The longest term of an exception, in milliseconds. */
  readonly longestException: number;
}

/** Adds the making, approving and ending of exceptions. */
export function exceptionRoutes(
  operations: Operations,
  { governance, clock, longestException }: ExceptionRoutesOptions,
): void {
  const { exceptions } = governance;
  operations.add(EXCEPTIONS.list, async ({ query }) =>
    json(200, { exceptions: selectExceptions(await exceptions.list(), query, clock.now()) }),
  );
  operations.add(EXCEPTIONS.add, async ({ body, ctx }) => {
    const made = exceptionOf({ ...body, by: administratorOf(ctx).name ?? body.by }, clock.now(), longestException);
    await exceptions.add(made);
    await governance.refresh();
    return json(201, made);
  });
  operations.add(EXCEPTIONS.get, async ({ parameters: { id } }) =>
    json(200, there(await exceptions.find(id), 'exception')),
  );
  operations.add(EXCEPTIONS.approve, async ({ parameters: { id }, body, ctx }) => {
    const name = required(administratorOf(ctx).name ?? body.by, 'by');
    return json(200, await alter(id, (kept) => ({ ...kept, approvedBy: [...new Set([...kept.approvedBy, name])] })));
  });
  operations.add(EXCEPTIONS.change, async ({ parameters: { id }, body, ctx }) => {
    const form = requireAuthor({ ...body, by: administratorOf(ctx).name ?? body.by });
    return json(200, await alter(id, (kept) => changedException(kept, form, clock.now(), longestException)));
  });
  operations.add(EXCEPTIONS.remove, async ({ parameters: { id } }) => {
    there(await exceptions.remove(id), 'exception');
    await governance.refresh();
    return json(200, {});
  });
  operations.add(EXCEPTIONS.exportVex, async () => json(200, vexOf(await exceptions.list(), clock.now())));
  operations.add(EXCEPTIONS.importVex, async ({ query, body, ctx }) => {
    const expires = query.expires ?? new Date(clock.now() + longestException).toISOString();
    expiryOf(expires, clock.now(), longestException);
    const forms = exceptionFormsOf(body, expires, administratorOf(ctx).name);
    const made = forms.map((form) => exceptionOf(form, clock.now(), longestException));
    for (const each of made) await exceptions.add(each);
    await governance.refresh();
    return json(201, { exceptions: made });
  });

  async function alter(id: string, change: (kept: KeptException) => KeptException): Promise<KeptException> {
    const altered = there(await exceptions.alter(id, change), 'exception');
    await governance.refresh();
    return altered;
  }
}

/** Passes on what was found. @throws EntrepotError `not-found` where that is nothing */
export function there<T>(found: T | undefined | false, what: string): T {
  if (found === undefined || found === false) throw new EntrepotError('not-found', `There is no such ${what}`);
  return found;
}

/** Passes on what somebody must say. @throws EntrepotError `bad-request` */
export function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new EntrepotError('bad-request', `${name}: expected a text`);
  return value;
}
