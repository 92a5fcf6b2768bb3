import { z } from 'zod';

const pattern = z
  .string()
  .max(214)
  .regex(/^(?=.*[A-Za-z0-9])(?!.*\*.*\*.*\*)[A-Za-z0-9*](?:[A-Za-z0-9._*-]*[A-Za-z0-9*])?$/, {
    error: 'expected a project name, with at most two "*" for any characters: acme-*',
  });

const ownerRule = z.strictObject({
  match: z
    .union([pattern, z.array(pattern).min(1)])
    .transform((match): readonly string[] => (typeof match === 'string' ? [match] : match))
    .describe('Names of projects, or patterns with `*`. Compared in their normal form.'),
  upstream: z.string().min(1).describe('The `scope` of the upstreams that these names belong to.'),
});

/** The options of a Python package index. */
export const pypiOptions = z.strictObject({
  owners: z
    .array(ownerRule)
    .default([])
    .describe(
      'Which upstream owns which names. A name that a rule gives to an upstream is never asked of another one, whatever that one answers. The first rule that matches counts.',
    ),
  deriveMetadata: z
    .boolean()
    .default(false)
    .describe(
      'Whether the metadata of a wheel is read out of the wheel where the upstream has no sidecar. Then pages offer it for every wheel, and asking for it fetches the whole wheel.',
    ),
  simplePath: z
    .string()
    .regex(/^(?:[A-Za-z0-9._+~-]+(?:\/[A-Za-z0-9._+~-]+)*)?$/, {
      error: 'expected a path without slashes at its ends: simple',
    })
    .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), {
      error: 'expected a path without "." and ".." segments',
    })
    .optional()
    .describe(
      'Where the Simple API is below the upstreams; empty for an index whose project pages lie directly below its URL. Left out: `simple`, or nothing when the URL ends in `/simple` itself.',
    ),
});

/** The parsed options. */
export type PypiOptions = z.output<typeof pypiOptions>;

/** One rule of `owners`. */
export type OwnerRule = PypiOptions['owners'][number];
