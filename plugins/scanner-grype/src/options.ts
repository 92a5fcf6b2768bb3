import { TOOL_OPTIONS } from '@entrepot/core/tool';
import { z } from 'zod';

const { command, updates, maxAge, timeout, updateTimeout, platform, maxImageSize } = TOOL_OPTIONS;
const quantity = ({ expected, read, about }: typeof maxAge, fallback: string) =>
  z.union([z.string(), z.number()], { error: expected }).transform(read).prefault(fallback).describe(about);

/** The options of the scanner. */
export const grypeOptions = z.strictObject({
  command: z.string().min(1).default('grype').describe(command),
  directory: z
    .string()
    .min(1)
    .default('data/grype')
    .describe('Where the database is: `6/vulnerability.db`, or what updates have brought.'),
  updates: z.boolean().default(true).describe(updates),
  databaseUrl: z
    .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
    .optional()
    .describe(
      'The `latest.json` of the databases: one in a repository of Entrepot itself, for example. Left out: that of the program.',
    ),
  maxAge: quantity(maxAge, '5d'),
  timeout: quantity(timeout, '2m'),
  updateTimeout: quantity(updateTimeout, '15m'),
  platform: z
    .string()
    .regex(platform.pattern, { error: platform.expected })
    .default('linux/amd64')
    .describe(platform.about),
  maxImageSize: quantity(maxImageSize, '10GiB'),
});

/** The options, parsed: times in milliseconds, sizes in bytes. */
export type GrypeOptions = z.output<typeof grypeOptions>;
