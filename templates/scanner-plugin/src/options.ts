import { z } from 'zod';

/** The options that stand beside `type`. A strict object: unknown keys are refused. */
export const acmeOptions = z.strictObject({
  database: z.string().min(1).describe('The file with the advisories.'),
});
