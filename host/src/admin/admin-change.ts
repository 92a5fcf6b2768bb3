import { isRecord } from '@entrepot/core/formats';
import type { Context } from 'koa';
import type { AuditEvent } from '../audit/audit-log.js';
import { answeredBy } from '../http/operations/operations.js';

/** Operations that change nothing, although they have a body. */
const QUESTIONS: ReadonlySet<string> = new Set(['simulatePolicy', 'judgeBill']);
/** Members by which requests and answers name the thing that they are about. */
const NAMES = ['subject', 'purl', 'name', 'root', 'id'] as const;

/**
 * The change that an administrator has made by a request that was answered: its event is the id of the operation, its detail what was
 * asked for and what was answered.
 * @returns `undefined` for a question
 */
export function changeOf(ctx: Context): Omit<AuditEvent, 'actor' | 'address'> | undefined {
  const done = answeredBy(ctx);
  if (done === undefined || QUESTIONS.has(done.operation.id)) return undefined;
  const { operation, parameters, asked, answer } = done;
  const about = [asked, answer].filter(isRecord);
  const named = about.flatMap((one) => NAMES.map((name) => one[name])).find((one) => typeof one === 'string');
  const repository = about.map((one) => one['repository']).find((one) => typeof one === 'string');
  return {
    event: operation.id,
    repository: repository as string | undefined,
    subject: (parameters['id'] ?? named) as string | undefined,
    detail: { asked, answer },
  };
}
