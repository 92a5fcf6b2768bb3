import { z } from 'zod';

/** The options that stand beside `backend`. A strict object: unknown keys are refused. */
export const acmeOptions = z.strictObject({
  folder: z.string().min(1).describe('The folder with the objects. Made when it is not there.'),
});
