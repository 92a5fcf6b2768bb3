import { EntrepotError } from '@entrepot/core';
import { parseSize } from '@entrepot/core/formats';
import { z } from 'zod';
import { json, operation } from '../http/operations/operation.js';
import type { Operations } from '../http/operations/operations.js';
import { amount, bytes, instant, named } from '../http/operations/schemas.js';
import type { Verification } from '../space/verification.js';
import { batchOf, runState } from './space-schemas.js';

const PATH = '/-/api/v1/verify';
/** The rate of a run for which none is named. */
const RATE = '50MiB';

const lost = named(
  'LostEntries',
  'Entries whose bytes are lost.',
  z.object({
    count: amount,
    entries: z
      .array(
        z.object({
          repository: z.string(),
          key: z.string(),
          purl: z.string().optional(),
          digest: z.string(),
          size: bytes,
          storedBy: z.string().optional(),
          fetchedAt: instant,
          condition: z.enum(['damaged', 'missing', 'unreadable', 'lost']),
          reason: z.string().optional().describe('Why they could not be fetched again.'),
        }),
      )
      .describe('The first of them, a thousand at the most.'),
  }),
);

const run = named(
  'Verification',
  'A run that compares blobs with their digests, as far as it has come.',
  z.object({
    state: runState,
    dryRun: z.boolean(),
    startedAt: instant,
    endedAt: instant.optional(),
    error: z.string().optional(),
    looked: amount.describe('Blobs that were looked at.'),
    bytes: bytes.describe('Bytes that were read.'),
    damaged: amount,
    missing: amount,
    unreadable: amount,
    healed: amount,
    total: z.object({ bytes, amount }).describe('All blobs, when it began.'),
    hosted: lost,
    proxied: lost,
  }),
);

const rate = z
  .union([z.string().max(40), z.number()])
  .refine((value) => (parseSize(value) ?? 0) > 0, 'expected a size such as 50MiB, a second, or unlimited')
  .transform((value) => parseSize(value) as number)
  .default(parseSize(RATE) as number)
  .meta({ default: RATE, examples: [RATE, 'unlimited'], description: 'Bytes a second.' });

const common = { tag: 'space', path: PATH, access: 'administrator' } as const;

/** The operations of verification. */
export const VERIFY = {
  get: operation({
    ...common,
    id: 'getVerifications',
    summary: 'Reads how far the verifications of this process are.',
    method: 'get',
    replies: {
      200: {
        description: 'The run that was asked for, and the one in the background.',
        json: z.object({ asked: run.optional(), background: run.optional() }),
      },
    },
  }),
  begin: operation({
    ...common,
    id: 'beginVerification',
    summary: 'Begins to compare all blobs with their digests.',
    method: 'post',
    body: {
      optional: true,
      schema: z.strictObject({
        dryRun: z.boolean().default(false).describe('Tells what is damaged or missing, and changes nothing.'),
        heal: z.boolean().default(true).describe('Whether upstreams are asked for what is damaged or missing.'),
        rate,
        batchSize: batchOf(1, 10_000).optional(),
      }),
    },
    replies: { 202: { description: 'It has begun.', json: run } },
    errors: ['conflict'],
  }),
  cancel: operation({
    ...common,
    id: 'cancelVerification',
    summary: 'Ends the verification that was asked for.',
    method: 'delete',
    replies: { 200: { description: 'What it has found.', json: run } },
    errors: ['not-found'],
  }),
};

export interface VerifyRoutesOptions {
  readonly verification: Verification;
  /** The number of blobs that are looked up together, where a request names none. */
  readonly batchSize: number;
}

/** Adds the verification of blobs: POST begins a run, GET tells how far it is, DELETE ends it. */
export function verifyRoutes(operations: Operations, { verification, batchSize: usual }: VerifyRoutesOptions): void {
  operations.add(VERIFY.get, () => json(200, verification.status));
  operations.add(VERIFY.begin, async ({ body: { batchSize = usual, ...wanted } }) =>
    json(202, await verification.begin({ ...wanted, batchSize })),
  );
  operations.add(VERIFY.cancel, async () => {
    const ended = await verification.cancel();
    if (ended === undefined)
      throw new EntrepotError('not-found', 'no verification is running that an administrator asked for');
    return json(200, ended);
  });
}
