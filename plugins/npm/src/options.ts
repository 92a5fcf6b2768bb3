import { z } from 'zod';

/** The options of an npm repository. */
export const npmOptions = z.strictObject({
  /**
   * `forward`: what clients send to be audited (names and versions of their dependencies) goes to the default upstream,
   * without names of scopes that have an upstream of their own. `off`: nothing is sent, audits are answered with 404.
   */
  audit: z.enum(['forward', 'off']).default('forward'),
});

/** The parsed options. */
export type NpmOptions = z.output<typeof npmOptions>;
