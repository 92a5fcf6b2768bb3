import { durationOption, timeoutOption, type QuantityOption } from '@entrepot/core/formats';
import { z } from 'zod';
import { parseTime } from './times.js';

const duration = durationOf(durationOption());

function durationOf({ expected, read }: QuantityOption) {
  return z.string({ error: expected }).transform(read);
}

/** The options of a repository of any of the formats. */
export const repositoryOptions = z.strictObject({
  signatures: z
    .strictObject({
      mode: z
        .enum(['off', 'warn', 'enforce'])
        .optional()
        .describe('What a Release file with a wrong signature means. Default: enforce with keyrings, else warn.'),
      keyrings: z
        .array(z.string().min(1))
        .default([])
        .describe('Files with OpenPGP keys, armored or not: /usr/share/keyrings/debian-archive-keyring.gpg.'),
    })
    .refine(({ mode, keyrings }) => mode !== 'enforce' || keyrings.length > 0, {
      path: ['keyrings'],
      error: 'expected a keyring for mode: enforce, found none',
    })
    .prefault({})
    .describe('Checks of the OpenPGP signatures of Release files.'),
  unindexed: z
    .enum(['revalidate', 'deny'])
    .default('deny')
    .describe('Packages that no verified index lists: 404, or passed on unverified and unjudged, and asked again.'),
  roots: z
    .strictObject({
      allow: z
        .array(z.string().min(1))
        .default(['**'])
        .describe('Globs of suites and flat directories that clients may ask for: dists/bookworm*.'),
      most: z.number().int().min(1).default(500).describe('How many of them are kept at the most.'),
    })
    .prefault({})
    .describe('Suites and flat directories, found by what clients ask for.'),
  keepGenerations: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(3)
    .describe('Earlier states of a suite whose index files and packages are still found.'),
  refreshInterval: duration
    .optional()
    .describe(
      'How often suites that clients have used within 14 days are refreshed when nobody asks. 0: never. Default: 1h; pacman: 2m.',
    ),
  refreshTimeout: durationOf(timeoutOption())
    .prefault('2m')
    .describe('How long a refresh may take; the last state is served on after that.'),
  leaseFor: duration
    .prefault('2m')
    .describe('How long a client that reads index files by their names keeps the state that it began with.'),
  frozen: z
    .record(z.string().regex(/^[^/].*[^/]$/), z.string())
    .default({})
    .transform((written, context) => {
      const times = Object.entries(written).map(([root, text]) => [root, parseTime(text)] as const);
      const wrong = times.find(([, time]) => time === undefined);
      if (wrong !== undefined)
        context.addIssue({ code: 'custom', message: `${wrong[0]}: expected a time such as 20261130T001500Z` });
      return new Map(times.flatMap(([root, time]) => (time === undefined ? [] : [[root, time] as const])));
    })
    .describe(
      'Suites that stay as they were at a time: dists/bookworm: 20261130T001500Z. No mirror is asked for them.',
    ),
  distribution: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The distribution that advisories are looked up for: debian-12, rocky-linux-9, alpine-3.20. Default: as the archive or its path says.',
    ),
  allowRollback: z
    .boolean()
    .default(false)
    .describe('Whether a mirror may bring an older Release file than the last one.'),
});

/** The keys of options of proxies alone. */
export const PROXY_KEYS: readonly string[] = [
  'signatures',
  'unindexed',
  'refreshInterval',
  'refreshTimeout',
  'roots',
  'frozen',
  'allowRollback',
  'distribution',
];

export type RepositoryOptions = z.output<typeof repositoryOptions>;
