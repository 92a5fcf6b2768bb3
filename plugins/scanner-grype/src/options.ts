import { TOOL_LIMITS } from '@entrepot/core/tool';
import { z } from 'zod';

const { age, time, bytes, platform } = TOOL_LIMITS;
const duration = z.string({ error: age.expected }).transform(age.read);
const timeout = z.string({ error: time.expected }).transform(time.read);
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

/** The options of the scanner. */
export const grypeOptions = z.strictObject({
  command: z.string().min(1).default('grype').describe('The program: a name on the PATH, or a path.'),
  directory: z
    .string()
    .min(1)
    .default('data/grype')
    .describe('Where the database is: `6/vulnerability.db`, or what updates have brought.'),
  updates: z
    .boolean()
    .default(true)
    .describe('Whether newer databases are downloaded. `false`: others keep `directory` up to date.'),
  databaseUrl: z
    .url({ protocol: /^https?$/, error: 'expected an http or https URL' })
    .optional()
    .describe(
      'The `latest.json` of the databases: one in a repository of Entrepot itself, for example. Left out: that of the program.',
    ),
  maxAge: duration.prefault('5d').describe('A database that is older says nothing any more.'),
  timeout: timeout.prefault('2m').describe('How long one run may take.'),
  updateTimeout: timeout.prefault('15m').describe('How long a download may take.'),
  platform: z
    .string()
    .regex(platform.pattern, { error: platform.expected })
    .default('linux/amd64')
    .describe('Which image of an index is judged with the index. Each is judged by itself when it is pulled.'),
  maxImageSize: size.prefault('10GiB').describe('Larger images are not judged.'),
});

/** The options, parsed: times in milliseconds, sizes in bytes. */
export type GrypeOptions = z.output<typeof grypeOptions>;
