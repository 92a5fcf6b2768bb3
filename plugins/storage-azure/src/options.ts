import { timeoutOption } from '@entrepot/core/formats';
import { prefault, z } from 'zod';

const text = z.string().min(1, { error: 'expected a text that is not empty' });
const time = timeoutOption();
const timeout = z.union([z.string(), z.number()], { error: time.expected }).transform(time.read);

/** The options that stand beside `backend: azure`. */
export const azureOptions = z
  .strictObject({
    container: z
      .string()
      .regex(/^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/, {
        error: 'expected the name of a container: 3 to 63 lower-case letters, digits and single "-"',
      })
      .describe('The container. It must be there.'),
    account: text.optional().describe('The storage account. Left out: that of `connectionString`.'),
    endpoint: z
      .url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' })
      .optional()
      .describe(
        'The URL of the blob service. Left out: `https://<account>.blob.core.windows.net`. Other clouds and emulators have others.',
      ),
    prefix: z
      .string()
      .regex(/^([A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*)?$/, {
        error: 'expected a path such as entrepot/blobs, without a slash at its ends',
      })
      .default('')
      .describe('What the names of all blobs begin with, so that a container can be shared.'),
    accountKey: text.optional().describe('A key of the account: `${env:…}` or `${file:…}`.'),
    sasToken: text
      .optional()
      .describe(
        'A shared access signature with the rights to read, write, delete and list: `${env:…}` or `${file:…}`.',
      ),
    connectionString: text.optional().describe('A connection string of the account: `${env:…}` or `${file:…}`.'),
    headersTimeout: prefault(timeout, '10s').describe('How long the server may take to begin its answer.'),
    idleTimeout: prefault(timeout, '30s').describe('How long a body may pause, in either direction.'),
  })
  .refine(({ account, connectionString }) => (account === undefined) !== (connectionString === undefined), {
    error: 'expected either account or connectionString',
  })
  .refine(
    ({ accountKey, sasToken, connectionString }) =>
      [accountKey, sasToken, connectionString].filter((one) => one !== undefined).length <= 1,
    { error: 'expected at most one of accountKey, sasToken and connectionString' },
  );

/** Options as their schema returns them. */
export type AzureOptions = z.output<typeof azureOptions>;
