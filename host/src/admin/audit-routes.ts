import { type Clock, EntrepotError } from '@entrepot/core';
import { parseDuration } from '@entrepot/core/formats';
import { z } from 'zod';
import type { AuditLog } from '../audit/audit-log.js';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { instant, limitOf, named, repositoryName, trimmedText } from '../http/operations/schemas.js';
import { requireWithin } from './admin-access.js';

const time = trimmedText(100).describe('A date, or a duration back from now: `7d`.');

const record = named(
  'AuditRecord',
  'A change, or equal denials of one minute.',
  z.object({
    id: z.string(),
    kind: z.enum(['change', 'denial']),
    event: z.string(),
    at: instant,
    lastAt: instant.describe('When it last happened.'),
    times: z.int().describe('More than 1 for equal denials.'),
    actor: z.string().optional().describe('A user, the subject of a token, or `key:` and the name of a key.'),
    address: z.string().optional(),
    repository: z.string().optional(),
    subject: z.string().optional().describe('The thing that was changed, or asked for.'),
    detail: z.record(z.string(), z.unknown()).optional(),
  }),
);

const page = z.object({
  records: z.array(record),
  next: z.string().optional().describe('Absent: there is no other page.'),
});

export type AuditPage = z.output<typeof page>;

/** The operation of the audit log. */
export const AUDIT_LOG = operation({
  id: 'listAuditRecords',
  tag: 'access',
  access: 'delegate',
  summary: 'Lists changes and denials, the newest first.',
  description: 'Who administers some repositories names one of them.',
  method: 'get',
  path: '/-/api/v1/audit',
  query: z.strictObject({
    kind: z.enum(['change', 'denial']).optional(),
    event: trimmedText(100).optional().describe('The id of an operation, or an event of the server.'),
    actor: trimmedText(500).optional(),
    address: trimmedText(100).optional(),
    repository: repositoryName.optional(),
    since: time.optional(),
    until: time.optional(),
    after: trimmedText(100).optional().describe('`next` of the page before.'),
    limit: limitOf(100, 1_000),
  }),
  replies: { 200: { description: 'The records.', json: page } },
});

/** Adds the audit log to the API of administration. Whoever may administer some repositories sees what is about one of them. */
export function auditRoutes(operations: Operations, audit: AuditLog, clock: Clock): void {
  operations.add(AUDIT_LOG, async ({ query: { since, until, ...query }, ctx }) => {
    requireWithin(ctx, query.repository);
    const now = clock.now();
    const records = await audit.list({
      ...query,
      since: timeOf('since', since, now),
      until: timeOf('until', until, now),
    });
    const last = records.length < query.limit ? undefined : records.at(-1);
    return json(200, { records, next: last?.id });
  });
}

/** @throws EntrepotError `bad-request` */
function timeOf(name: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  const span = parseDuration(text);
  const at = span === undefined ? Date.parse(text) : now - span;
  if (Number.isFinite(at)) return at;
  throw new EntrepotError('bad-request', `${name}: expected a date or a duration such as 7d`);
}
