import { z } from 'zod';
import { operation } from '../http/operations/operation.js';
import { instant, limitOf, named, trimmedText } from '../http/operations/schemas.js';
import { runId } from './space-schemas.js';

const PATH = '/-/api/v1/keys';

const keyName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$/, 'expected at most 100 letters, digits and . _ @ + -')
  .describe('No other key in force has it.');

const may = z.enum(['read', 'write', 'admin']).describe('`admin` includes `write`, and `write` includes `read`.');

const scope = z.strictObject({
  may,
  repositories: z
    .array(trimmedText(100))
    .min(1)
    .max(100)
    .describe('Names of repositories, with `*` for any characters; `*`: all.'),
  names: z
    .array(trimmedText(300))
    .min(1)
    .max(100)
    .optional()
    .describe('Names within them, as `access.users.<user>.names` has them. Left out: all.'),
});

const scopes = z.array(scope).min(1).max(20);
const expires = trimmedText(100).describe('A date, or a duration from now on: `90d`.');
const note = trimmedText(500).describe('Purpose of the key.');

/** A key as replies have it. */
export const key = named(
  'Key',
  'A key of callers, without its secret.',
  z.object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.object({ may, repositories: z.array(z.string()), names: z.array(z.string()).optional() })),
    note: z.string().optional(),
    createdAt: instant,
    createdBy: z.string().optional(),
    expiresAt: instant.optional(),
    usedAt: instant.optional().describe('The last use, give or take ten minutes.'),
  }),
);

export type KeyView = z.output<typeof key>;

const made = z.object({ key, secret: z.string().describe('In no other answer, and stored nowhere.') });
const page = z.object({ keys: z.array(key), next: z.string().optional().describe('Absent: there is no other page.') });

export type MadeKey = z.output<typeof made>;
export type KeyPage = z.output<typeof page>;

const common = { tag: 'access', access: 'delegate' } as const;

/** The operations of keys. */
export const KEYS = {
  list: operation({
    ...common,
    id: 'listKeys',
    summary: 'Lists keys in force, by name.',
    description: 'A page may have fewer keys than `limit`: those that the caller may not change are left out.',
    method: 'get',
    path: PATH,
    query: z.strictObject({
      limit: limitOf(100, 1_000),
      after: trimmedText(200).optional().describe('`next` of the page before.'),
    }),
    replies: { 200: { description: 'The keys.', json: page } },
  }),
  create: operation({
    ...common,
    id: 'createKey',
    summary: 'Makes a key, and tells its secret.',
    description: 'A key makes keys within its own scopes of administration, that end no later than itself.',
    method: 'post',
    path: PATH,
    body: {
      schema: z.strictObject({
        name: keyName,
        scopes,
        expires: expires.optional(),
        note: note.optional(),
        by: trimmedText(500).optional().describe('Who asks for it, where credentials do not tell.'),
      }),
    },
    replies: { 201: { description: 'The key is in force.', json: made } },
    errors: ['conflict'],
  }),
  get: operation({
    ...common,
    id: 'getKey',
    summary: 'Reads a key.',
    method: 'get',
    path: `${PATH}/{id}`,
    parameters: runId,
    replies: { 200: { description: 'The key.', json: key } },
    errors: ['not-found'],
  }),
  change: operation({
    ...common,
    id: 'changeKey',
    summary: 'Changes the scopes, the end or the note of a key.',
    method: 'patch',
    path: `${PATH}/{id}`,
    parameters: runId,
    body: {
      schema: z.strictObject({
        scopes: scopes.optional(),
        expires: expires.nullable().optional().describe('`null`: never, or with the key of the caller.'),
        note: note.optional(),
      }),
    },
    replies: { 200: { description: 'The key after that.', json: key } },
    errors: ['not-found'],
  }),
  revoke: operation({
    ...common,
    id: 'revokeKey',
    summary: 'Revokes a key, here at once.',
    method: 'delete',
    path: `${PATH}/{id}`,
    parameters: runId,
    replies: { 200: { description: 'The key as it was.', json: key } },
    errors: ['not-found'],
  }),
};
