import { z } from 'zod';

/** The options that stand beside the common keys of a repository. A strict object: unknown keys are refused. */
export const acmeOptions = z.strictObject({
  extension: z
    .string()
    .regex(/^\.[a-z0-9]+(\.[a-z0-9]+)*$/, { error: 'expected an extension such as .tar.gz' })
    .default('.tar.gz')
    .describe('How the names of release files end.'),
});

/** The options, checked. */
export type AcmeOptions = z.output<typeof acmeOptions>;
