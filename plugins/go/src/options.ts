import { z } from 'zod';
import { parseDatabase } from './database-setting.js';
import { modulePatterns } from './module-match.js';

const patterns = z.union([z.string(), z.array(z.string())]).transform((value, context) => {
  try {
    return modulePatterns(typeof value === 'string' ? value : value.join(','));
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

const database = z.string().transform((text, context) => {
  try {
    return { setting: parseDatabase(text) };
  } catch (error) {
    const reason = (error as Error).message;
    context.addIssue({
      code: 'custom',
      message: `expected off, a known name or a verifier key as in GOSUMDB: ${reason}`,
    });
    return z.NEVER;
  }
});

/** The options of a Go module repository. What is left out is as `go env` of this machine says. */
export const goOptions = z.strictObject({
  /** The checksum database that modules are verified with, as in `GOSUMDB`: `off`, a name whose key `go` knows, or a verifier key. */
  sumdb: database.optional(),
  /** Modules that are verified with no database (`GONOSUMDB`): patterns, as a list or separated by commas. Their names are never sent to one. */
  unverified: patterns.optional(),
  /**
   * Private modules (`GONOPROXY`): patterns. They are asked only of upstreams whose scope matches them, and verified with
   * no database. Without such an upstream they are not found here, so that clients with `,direct` go where they are.
   */
  private: patterns.optional(),
});

/** The parsed options. */
export type GoOptions = z.output<typeof goOptions>;
