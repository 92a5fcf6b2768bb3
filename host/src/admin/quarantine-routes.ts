import { EntrepotError, packageUrl, type Clock } from '@entrepot/core';
import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { limitOf, plainText, purlText, repositoryName } from '../http/operations/schemas.js';
import { exceptionOf } from '../policy/exception-form.js';
import type { Governance } from '../policy/governance.js';
import { parsePackageUrl } from '../policy/inquiry.js';
import { administratorOf } from './admin-access.js';
import { required, there, type ExceptionRoutesOptions } from './exception-routes.js';
import { withPurl } from './policy-routes.js';
import { by, exception, quarantined, reason } from './policy-schemas.js';

const PATH = '/-/api/v1/quarantine';
const common = { tag: 'policy', access: 'administrator' } as const;
const subject = { repository: repositoryName, purl: purlText };
const done = { 200: { description: 'It is done.', json: z.object({}) } };

/** The operations of the quarantine. */
export const QUARANTINE = {
  list: operation({
    ...common,
    id: 'listQuarantine',
    summary: 'Lists versions that policy holds, or that an administrator decided on.',
    method: 'get',
    path: PATH,
    query: z.strictObject({
      state: z.enum(['held', 'released', 'denied'], 'expected held, released or denied').optional(),
      limit: limitOf(1_000, 10_000),
    }),
    replies: {
      200: {
        description: 'The versions, what was asked for last first.',
        json: z.object({ quarantine: z.array(quarantined.extend({ purl: z.string() })) }),
      },
    },
  }),
  release: operation({
    ...common,
    id: 'releaseVersion',
    summary: 'Lets a version in, by an exception from the rules that hold it.',
    method: 'post',
    path: `${PATH}/release`,
    body: {
      schema: z.strictObject({
        ...subject,
        by,
        reason,
        expires: plainText(100).optional().describe('A date, or a duration such as 30d. Left out: the longest term.'),
        rules: plainText(500).optional().describe('The ids of rules, with commas. Left out: those that hold it.'),
      }),
    },
    replies: { 200: { description: 'The exception.', json: z.object({ exception }) } },
    errors: ['conflict'],
  }),
  deny: operation({
    ...common,
    id: 'denyVersion',
    summary: 'Keeps a version out.',
    method: 'post',
    path: `${PATH}/deny`,
    body: { schema: z.strictObject({ ...subject, by, reason }) },
    replies: done,
  }),
  forget: operation({
    ...common,
    id: 'forgetVersion',
    summary: 'Leaves a version to the rules again.',
    method: 'post',
    path: `${PATH}/forget`,
    body: { schema: z.strictObject(subject) },
    replies: done,
    errors: ['not-found'],
  }),
};

/** Adds decisions on single versions. */
export function quarantineRoutes(
  operations: Operations,
  { governance, clock, longestException }: ExceptionRoutesOptions,
): void {
  const { exceptions, quarantine } = governance;
  operations.add(QUARANTINE.list, async ({ query: { state, limit } }) =>
    json(200, { quarantine: await current(governance, clock, limit, state) }),
  );
  operations.add(QUARANTINE.release, async ({ body, ctx }) => {
    const decidedBy = required(administratorOf(ctx).name ?? body.by, 'by');
    const of = subjectOf(body);
    const held = await quarantine.find(of);
    const now = clock.now();
    const rules = body.rules === undefined ? held?.rules : body.rules.split(',');
    if (rules === undefined || rules.length === 0)
      throw new EntrepotError('bad-request', 'rules: expected the ids of rules; it is not held, so they are not known');
    const made = exceptionOf(
      {
        repositories: [of.repository],
        purl: [packageUrl(of.coordinates)],
        rules,
        reason: `released from quarantine: ${body.reason}`.slice(0, 500),
        by: decidedBy,
        expires: body.expires ?? new Date(now + longestException).toISOString(),
      },
      now,
      longestException,
    );
    await exceptions.add(made);
    await quarantine.decide(of, { state: 'released', by: decidedBy, at: now, note: body.reason });
    await governance.refresh();
    return json(200, { exception: made });
  });
  operations.add(QUARANTINE.deny, async ({ body, ctx }) => {
    const decidedBy = required(administratorOf(ctx).name ?? body.by, 'by');
    await quarantine.decide(subjectOf(body), { state: 'denied', by: decidedBy, at: clock.now(), note: body.reason });
    await governance.refresh();
    return json(200, {});
  });
  operations.add(QUARANTINE.forget, async ({ body }) => {
    there(await quarantine.remove(subjectOf(body)), 'row in the quarantine');
    await governance.refresh();
    return json(200, {});
  });
}

async function current(
  { quarantine }: Governance,
  clock: Clock,
  limit: number,
  state: 'held' | 'released' | 'denied' | undefined,
) {
  const now = clock.now();
  const found = await quarantine.list(limit, state);
  // Others were released by time, and not asked for since.
  return found.filter((one) => one.state !== 'held' || one.until === undefined || one.until > now).map(withPurl);
}

function subjectOf({ repository, purl }: Readonly<Record<'repository' | 'purl', string>>) {
  return { repository, coordinates: parsePackageUrl(purl) };
}
