import { TOOL_OPTIONS } from '@entrepot/core/tool';
import { z } from 'zod';

const { command, updates, maxAge, timeout, updateTimeout, platform, maxImageSize } = TOOL_OPTIONS;
const quantity = ({ expected, read, about }: typeof maxAge, fallback: string) =>
  z.union([z.string(), z.number()], { error: expected }).transform(read).prefault(fallback).describe(about);
const reference = z
  .string()
  .regex(/^[^\s-]\S*$/, { error: 'expected a repository such as registry.example.com/trivy-db' });
const secret = z.string().regex(/^[^\0\r\n]+$/, { error: 'expected one line of text' });

/** The options of the scanner. */
export const trivyOptions = z
  .strictObject({
    command: z.string().min(1).default('trivy').describe(command),
    directory: z
      .string()
      .min(1)
      .default('data/trivy')
      .describe('Where the database is: `db/trivy.db` and `db/metadata.json`, or what updates have brought.'),
    updates: z.boolean().default(true).describe(updates),
    databaseRepository: reference
      .optional()
      .describe(
        'The repository of the database, in a registry: one of Entrepot itself, for example. Left out: that of the program.',
      ),
    javaDatabaseRepository: reference
      .optional()
      .describe('The repository of the index of Java archives, for images with some. Left out: it is not downloaded.'),
    username: secret.optional().describe('For the registry of the databases.'),
    password: secret.optional().describe('For the registry of the databases. A secret: `${env:…}` or `${file:…}`.'),
    insecure: z.boolean().default(false).describe('Whether the registry of the databases is asked by plain http.'),
    maxAge: quantity(maxAge, '7d'),
    timeout: quantity(timeout, '2m'),
    updateTimeout: quantity(updateTimeout, '15m'),
    platform: z
      .string()
      .regex(platform.pattern, { error: platform.expected })
      .default('linux/amd64')
      .describe(platform.about),
    maxImageSize: quantity(maxImageSize, '10GiB'),
    server: z
      .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
      .optional()
      .describe('A `trivy server` that has the database. `directory` and updates are not used then.'),
    token: secret.optional().describe('The token of `server`. A secret: `${env:…}` or `${file:…}`.'),
  })
  .refine(({ token, server }) => token === undefined || server !== undefined, {
    path: ['token'],
    error: 'expected with server only',
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    path: ['password'],
    error: 'expected with username, and no less',
  });

/** The options, parsed: times in milliseconds, sizes in bytes. */
export type TrivyOptions = z.output<typeof trivyOptions>;
