import { EntrepotError } from '@entrepot/core';
import { parseJson } from '@entrepot/core/formats';
import { z } from 'zod';

/** The longest cursor, in characters: what a path has room for. */
const LONGEST = 8_000;

/** The cursor of a query: where the page before ended. */
export const cursorText = z
  .string()
  .max(LONGEST)
  .regex(/^[A-Za-z0-9_-]+$/, 'expected the text `next` of the page before')
  .describe('The text `next` of the page before.');

/** Writes a place down for whoever asks for the next page. */
export function cursorOf(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** Reads a place that `cursorOf` has written. @throws EntrepotError `bad-request` for any other text */
export function readCursor<Place>(schema: z.ZodType<Place>, cursor: string): Place {
  const parsed = schema.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()));
  if (parsed.success) return parsed.data;
  throw new EntrepotError('bad-request', 'cursor: expected the text `next` of the page before');
}
