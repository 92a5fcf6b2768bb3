import { expect, it } from 'vitest';
import { z } from 'zod';
import type { Access, Operation } from '../../src/http/operations/operation.js';
import { OPERATIONS } from '../../src/operations.js';
import { openWholeServer, pathOf, ROLES, type Role } from './support.js';

/** The roles that each kind of access admits. */
const ADMITTED: Readonly<Record<Access, readonly Role[]>> = {
  everybody: Object.keys(ROLES) as Role[],
  reader: ['reader', 'writer', 'administrator by name', 'administrator by token'],
  administrator: ['administrator by name', 'administrator by token'],
  // Keys with scopes of administration are tried in test/access/keys.test.ts.
  delegate: ['administrator by name', 'administrator by token'],
  metrics: ['reader of metrics'],
};

it('every operation admits those whom it is declared for, and answers as it is declared', async () => {
  const { ask } = await openWholeServer();
  const unexpected: unknown[] = [];
  let asked = 0;
  for (const one of OPERATIONS) {
    for (const role of Object.keys(ROLES) as Role[]) {
      const reply = await ask(one.method.toUpperCase(), pathOf(one), role, one.body && {});
      asked += 1;
      const isAdmitted = reply.status !== 401 && reply.status !== 403;
      // Its own challenge, which is no matter of administration.
      const isOwn = one.path === '/-/token' && reply.status === 401;
      if (!isOwn && isAdmitted !== ADMITTED[one.access].includes(role)) unexpected.push([one.id, role, reply.status]);
      // A path that is as it was declared reaches its operation, and no other one. Impact wants one of two parameters.
      if (one.method === 'get' && reply.status === 400 && one.id !== 'getImpact')
        unexpected.push([one.id, role, await reply.clone().text()]);
      if (!isAdmitted && reply.headers.get('www-authenticate') === null)
        unexpected.push([one.id, role, 'no challenge']);
      for (const fault of await faultsOf(one, reply)) unexpected.push([one.id, role, reply.status, fault]);
    }
  }
  expect(unexpected).toEqual([]);
  expect(asked).toBe(OPERATIONS.length * Object.keys(ROLES).length);
});

/** Finds what a reply has that its operation does not declare. */
async function faultsOf({ replies }: Operation, reply: Response): Promise<readonly string[]> {
  const type = reply.headers.get('content-type') ?? '';
  const isStream = type.startsWith('text/event-stream');
  // It has no end.
  if (isStream) await reply.body?.cancel();
  const body = isStream ? '' : await reply.text();
  const declared = replies[reply.status];
  if (declared === undefined) {
    if (reply.ok) return [`status ${reply.status}`];
    return type === 'application/problem+json' ? [] : [`an error of type ${type}`];
  }
  if (!type.startsWith('application/json')) return declared.texts === undefined ? [`type ${type}`] : [];
  const parsed = (declared.json as z.ZodType).safeParse(JSON.parse(body));
  if (!parsed.success) return [z.prettifyError(parsed.error)];
  // A schema leaves out what it does not name.
  return JSON.stringify(sorted(parsed.data)) === JSON.stringify(sorted(JSON.parse(body)))
    ? []
    : [`more than declared: ${body}`];
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, of]) => [key, sorted(of)]),
  );
}
