import { sizeOption } from '@entrepot/core/formats';
import { z } from 'zod';

const size = sizeOption({ least: 1 });

/** The options that stand beside the common keys of a repository. A strict object: unknown keys are refused. */
export const acmeOptions = z.strictObject({
  maxBytes: z
    .union([z.string(), z.number()], { error: size.expected })
    .transform(size.read)
    .default(100 * 1024 * 1024)
    .describe('The largest file that can be published.'),
});

/** The options, checked. */
export type AcmeOptions = z.output<typeof acmeOptions>;
