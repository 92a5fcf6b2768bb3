import { TOOL_LIMITS } from '@entrepot/core/tool';
import { z } from 'zod';

const { age, time, bytes, platform } = TOOL_LIMITS;
const duration = z.string({ error: age.expected }).transform(age.read);
const timeout = z.string({ error: time.expected }).transform(time.read);
const size = z.union([z.string(), z.number()], { error: bytes.expected }).transform(bytes.read);

const reference = z
  .string()
  .regex(/^[^\s-]\S*$/, { error: 'expected a repository such as registry.example.com/trivy-db' });
const secret = z.string().regex(/^[^\0\r\n]+$/, { error: 'expected one line of text' });

/** The options of the scanner. */
export const trivyOptions = z
  .strictObject({
    command: z.string().min(1).default('trivy').describe('The program: a name on the PATH, or a path.'),
    directory: z
      .string()
      .min(1)
      .default('data/trivy')
      .describe('Where the database is: `db/trivy.db` and `db/metadata.json`, or what updates have brought.'),
    updates: z
      .boolean()
      .default(true)
      .describe('Whether newer databases are downloaded. `false`: others keep `directory` up to date.'),
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
    maxAge: duration.prefault('7d').describe('A database that is older says nothing any more.'),
    timeout: timeout.prefault('2m').describe('How long one run may take.'),
    updateTimeout: timeout.prefault('15m').describe('How long a download may take.'),
    platform: z
      .string()
      .regex(platform.pattern, { error: platform.expected })
      .default('linux/amd64')
      .describe('Which image of an index is judged with the index. Each is judged by itself when it is pulled.'),
    maxImageSize: size.prefault('10GiB').describe('Larger images are not judged.'),
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
