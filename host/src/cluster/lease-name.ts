import { createHash } from 'node:crypto';

/** The name of a lease in the database and in URLs: of a bounded length, whatever it is for. */
export function leaseName(what: string): string {
  return createHash('sha256').update(what).digest('hex');
}
