import { z } from 'zod';
import { ALL_AGES } from '../drivers/sql/usage-report.js';
import { operation } from '../http/operations/operation.js';
import { amount, bytes, instant, limitOf, named, repositoryName, trimmedText } from '../http/operations/schemas.js';
import { batchOf, runId, runState } from './space-schemas.js';

const ROOT = '/-/api/v1';
const MOST_PACKAGES = 10_000;

/** Subject of a purge or a pin. Paths may be as long as the server takes them. */
const subject = trimmedText(8_192).describe('A package URL, <repository>/<pattern>, or the path or URL of a request.');
const by = trimmedText(500).optional().describe('Who asks for it, where credentials do not tell.');
const dryRun = z.boolean().default(false).describe('Tells what would happen, and changes nothing.');

const purge = named(
  'Purge',
  'A purge, as far as it has come.',
  z.object({
    id: z.string(),
    state: runState,
    subject: z.string(),
    dryRun: z.boolean(),
    startedAt: instant,
    endedAt: instant.optional(),
    error: z.string().optional(),
    entries: amount,
    blobs: amount.describe('Blobs that nothing else points at, and that are deleted.'),
    bytes,
    kept: z.array(z.object({ why: z.enum(['hosted', 'pinned', 'needed']), count: amount })),
  }),
);

const pin = named(
  'Pin',
  'A rule that keeps entries from being evicted or purged.',
  z.object({
    id: z.string(),
    subject: z.string(),
    madeAt: instant,
    madeBy: z.string().optional(),
    note: z.string().optional(),
  }),
);

const usage = named(
  'Usage',
  'What is kept, and how much room there is.',
  z.object({
    blobs: amount,
    bytes,
    maxBytes: bytes.optional(),
    freeBytes: bytes.optional(),
    reserve: bytes,
    isFull: z.boolean(),
    isVolumeFull: z.boolean(),
    repositories: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(['proxy', 'hosted']).optional().describe('Absent: it is no longer served.'),
        entries: amount,
        bytes: bytes.describe('Bytes that its entries name: bytes that several of them name count for each.'),
        quota: bytes.optional(),
        isFull: z.boolean(),
      }),
    ),
    projects: z.array(
      z.object({
        name: z.string(),
        repositories: z.array(z.string()),
        bytes: bytes.describe('Bytes that the entries of its repositories name.'),
        quota: bytes,
        isFull: z.boolean(),
      }),
    ),
  }),
);

const common = { tag: 'space', access: 'administrator' } as const;
const ofRepository = repositoryName.optional().describe('Left out: all.');

/** The operations of purges. */
export const PURGE = {
  begin: operation({
    ...common,
    id: 'beginPurge',
    summary: 'Removes kept copies.',
    description: 'The answer comes when the purge has ended, or after 2 seconds.',
    method: 'post',
    path: `${ROOT}/purge`,
    body: {
      schema: z.strictObject({
        subject,
        hosted: z.boolean().default(false).describe('Takes what was uploaded, too.'),
        pinned: z.boolean().default(false).describe('Takes what is pinned, too.'),
        dryRun,
        batchSize: batchOf(1, 1_000).default(100),
        by,
      }),
    },
    replies: {
      200: { description: 'It has ended.', json: purge },
      202: { description: 'It goes on.', json: purge },
    },
    errors: ['not-found', 'conflict'],
  }),
  get: operation({
    ...common,
    id: 'getPurge',
    summary: 'Reads how far a purge of this process is.',
    method: 'get',
    path: `${ROOT}/purge/{id}`,
    parameters: runId,
    replies: { 200: { description: 'The purge.', json: purge } },
    errors: ['not-found'],
  }),
  cancel: operation({
    ...common,
    id: 'cancelPurge',
    summary: 'Ends a purge after the batch that it is at.',
    method: 'delete',
    path: `${ROOT}/purge/{id}`,
    parameters: runId,
    replies: { 200: { description: 'The purge.', json: purge } },
    errors: ['not-found'],
  }),
};

/** The operations of pins. */
export const PINS = {
  list: operation({
    ...common,
    id: 'listPins',
    summary: 'Lists pins.',
    method: 'get',
    path: `${ROOT}/pins`,
    replies: { 200: { description: 'The pins.', json: z.object({ pins: z.array(pin) }) } },
  }),
  add: operation({
    ...common,
    id: 'addPin',
    summary: 'Keeps entries from being evicted or purged.',
    method: 'post',
    path: `${ROOT}/pins`,
    body: { schema: z.strictObject({ subject, note: trimmedText(500).optional(), dryRun, by }) },
    replies: {
      200: { description: 'It was pinned before, or nothing was to change.', json: pin },
      201: { description: 'It is pinned.', json: pin },
    },
    errors: ['not-found'],
  }),
  remove: operation({
    ...common,
    id: 'removePin',
    summary: 'Removes a pin.',
    method: 'delete',
    path: `${ROOT}/pins/{id}`,
    parameters: runId,
    query: z.strictObject({ dryRun }),
    replies: { 200: { description: 'The pin as it was.', json: pin } },
    errors: ['not-found'],
  }),
};

/** The operations of usage. */
export const USAGE = {
  overview: operation({
    ...common,
    id: 'getUsage',
    summary: 'Reads what is kept, and how much room there is.',
    method: 'get',
    path: `${ROOT}/usage`,
    replies: { 200: { description: 'The usage.', json: usage } },
  }),
  packages: operation({
    ...common,
    id: 'listLargestPackages',
    summary: 'Lists the packages that take most room, the largest first.',
    method: 'get',
    path: `${ROOT}/usage/packages`,
    query: z.strictObject({ repository: ofRepository, limit: limitOf(100, MOST_PACKAGES) }),
    replies: {
      200: {
        description: 'The packages.',
        json: z.object({
          packages: z.array(
            z.object({
              repository: z.string(),
              purl: z.string(),
              entries: amount,
              bytes,
              lastServedAt: instant.optional(),
            }),
          ),
        }),
      },
    },
  }),
  ages: operation({
    ...common,
    id: 'getUsageByAge',
    summary: 'Reads what is kept by the time since it was last served.',
    method: 'get',
    path: `${ROOT}/usage/ages`,
    query: z.strictObject({ repository: ofRepository }),
    replies: {
      200: {
        description: 'The ages, the youngest first.',
        json: z.object({
          ages: z.array(z.object({ age: z.enum(ALL_AGES as [string, ...string[]]), entries: amount, bytes })),
        }),
      },
    },
  }),
};
