import type { Clock } from '@entrepot/core';
import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { amount, limitOf, plainText, repositoryName } from '../http/operations/schemas.js';
import { BILLS, type BillForm } from '../policy/bill-of-materials.js';
import type { Inquiry } from '../policy/inquiry.js';
import { judgeBill, readBill } from '../policy/judge-bill.js';
import { action, finding, firedRules } from './policy-schemas.js';

const PATH = '/-/api/v1/sbom';
const DAY = 86_400_000;
/** The largest bill of materials, in bytes. One of ten thousand components has a few million. */
const LARGEST_BILL = 16 * 1024 * 1024;
const common = { tag: 'policy', path: PATH, access: 'administrator' } as const;

/** The operations of bills of materials. */
export const BILL = {
  make: operation({
    ...common,
    id: 'makeBill',
    summary: 'Lists what was served lately as a bill of materials.',
    method: 'get',
    query: z.strictObject({
      days: limitOf(30, 3_650).describe('The number of days that are looked at.'),
      format: z
        .enum(Object.keys(BILLS) as [BillForm, ...BillForm[]], 'expected cyclonedx or spdx')
        .default('cyclonedx'),
      repository: repositoryName.optional().describe('Left out: all.'),
      user: plainText(500).optional().describe('The name of a caller. Left out: all.'),
    }),
    replies: { 200: { description: 'CycloneDX 1.5, or SPDX 2.3.', json: z.looseObject({}) } },
  }),
  judge: operation({
    ...common,
    id: 'judgeBill',
    summary: 'Judges each part of a bill of materials by policy.',
    description: 'CycloneDX 1.x or SPDX 2.x.',
    method: 'post',
    query: z.strictObject({ repository: repositoryName.optional().describe('Left out: all.') }),
    body: { schema: z.looseObject({}), maxBytes: LARGEST_BILL },
    replies: {
      200: {
        description: 'The verdicts.',
        json: z.object({
          judged: amount,
          refused: amount,
          parts: z.array(
            z.object({
              purl: z.string(),
              repository: z.string().optional(),
              action: action.optional(),
              wouldBe: action.optional(),
              rules: firedRules,
              findings: z.array(finding),
              kept: z.boolean(),
            }),
          ),
          unjudged: z.array(z.string()),
        }),
      },
    },
  }),
};

/** Adds bills of materials. */
export function billRoutes(operations: Operations, inquiry: Inquiry, clock: Clock): void {
  const { governance } = inquiry;
  operations.add(BILL.make, async ({ query: { days, format, repository, user: caller } }) => {
    await governance.flush();
    const now = clock.now();
    const found = await governance.downloads.list({ repository, caller, since: now - days * DAY, limit: 100_000 });
    return json(200, BILLS[format](found, now));
  });
  operations.add(BILL.judge, async ({ body, query: { repository } }) =>
    json(200, await judgeBill(inquiry, readBill(body), repository)),
  );
}
