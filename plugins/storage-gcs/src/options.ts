import { timeoutOption } from '@entrepot/core/formats';
import { prefault, z } from 'zod';

const text = z.string().min(1, { error: 'expected a text that is not empty' });
const time = timeoutOption();
const timeout = z.union([z.string(), z.number()], { error: time.expected }).transform(time.read);

/** The options that stand beside `backend: gcs`. */
export const gcsOptions = z
  .strictObject({
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, {
        error: 'expected the name of a bucket: at least 3 lower-case letters, digits, ".", "_" and "-"',
      })
      .describe('The bucket. It must be there.'),
    prefix: z
      .string()
      .regex(/^([A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*)?$/, {
        error: 'expected a path such as entrepot/blobs, without a slash at its ends',
      })
      .default('')
      .describe('What the names of all objects begin with, so that a bucket can be shared.'),
    keyFile: text
      .optional()
      .describe(
        'The file with the key of a service account, JSON. Left out: what Google’s tools use here (`GOOGLE_APPLICATION_CREDENTIALS`, the identity of the machine or the pod).',
      ),
    anonymous: z.boolean().default(false).describe('Whether requests are sent without credentials, as to an emulator.'),
    endpoint: z
      .url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' })
      .optional()
      .describe('The URL of the API. Left out: that of Google.'),
    connections: z.int().min(1).max(10_000).default(128).describe('The most connections that are kept open.'),
    connectTimeout: prefault(timeout, '2s').describe('How long connecting may take, TLS included.'),
    headersTimeout: prefault(timeout, '10s').describe('How long the server may take to begin its answer.'),
    idleTimeout: prefault(timeout, '30s').describe('How long a body may pause, in either direction.'),
  })
  .refine(({ keyFile, anonymous }) => keyFile === undefined || !anonymous, {
    error: 'expected either keyFile or anonymous',
  });

/** Options as their schema returns them. */
export type GcsOptions = z.output<typeof gcsOptions>;
