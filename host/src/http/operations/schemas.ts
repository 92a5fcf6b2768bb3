import { z } from 'zod';
import { plainText } from '../../config/texts.js';

export { plainText, trimmedText } from '../../config/texts.js';

/** Schemas with a name in the document. */
export const NAMED = new Map<z.ZodType, { readonly id: string; readonly description: string }>();

/** Gives a schema a name in the document. */
export function named<Schema extends z.ZodType>(id: string, description: string, schema: Schema): Schema {
  NAMED.set(schema, { id, description });
  return schema;
}

/** A time of a reply. */
export const instant = z.int().describe('Milliseconds since the epoch.');

/** An amount of a reply. */
export const amount = z.number();

/** A number of bytes of a reply. */
export const bytes = z.number().describe('Bytes.');

/** The largest number of rows of a reply, in a query. */
export function limitOf(usual: number, most: number) {
  return z
    .int(`expected a whole number from 1 to ${most}`)
    .min(1, `expected a whole number from 1 to ${most}`)
    .max(most, `expected a whole number from 1 to ${most}`)
    .default(usual)
    .describe('The largest number of rows.');
}

/** The name of a repository, in a request. */
export const repositoryName = plainText(200).describe('The name of a repository.');

/** A package URL, in a request. */
export const purlText = plainText(2_048)
  .regex(/^pkg:/, 'expected a package URL such as pkg:npm/lodash@4.17.20')
  .meta({ pattern: '^pkg:[^\\u0000]+$', description: 'A package URL, such as pkg:npm/lodash@4.17.21.' });

/** The error of an operation (RFC 9457). */
export const problem = named(
  'Problem',
  'An error (RFC 9457).',
  z.object({
    title: z.string().describe('The phrase of the status.'),
    status: z.int(),
    code: z.string().describe('The error, for programs: POLICY_DENIED.'),
    detail: z.string().describe('What happened, and what was expected.'),
    requestId: z.string().describe('The id of the request, by which the log tells more.'),
  }),
);
