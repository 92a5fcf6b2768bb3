import { z } from 'zod';
import { amount, bytes, named, plainText } from '../http/operations/schemas.js';

/** The state of long work. */
export const runState = z.enum(['running', 'done', 'cancelled', 'failed']);

/** Blobs that were deleted, or would be. */
export const deleted = named('Deleted', 'Blobs, and the room that they took.', z.object({ blobs: amount, bytes }));

/** The number of things that are done together. */
export function batchOf(least: number, most: number) {
  const message = `expected a whole number from ${least} to ${most}`;
  return z.int(message).min(least, message).max(most, message).describe('The number of those that are done together.');
}

/** The parameter of paths that name a run, or another thing with an id. */
export const runId = z.strictObject({ id: plainText(200).describe('Its id.') });
