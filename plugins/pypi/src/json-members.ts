import type { Content } from '@entrepot/core';
import { JsonFormatError, readJsonMembers as readMembers, type JsonMember, type Reading } from '@entrepot/core/formats';
import { PageFormatError } from './errors.js';

/**
 * The members of the object that `content` is, in batches, in the order of the text.
 * @throws PageFormatError
 */
export async function* readJsonMembers(
  content: Content,
  readingOf: (key: string) => Reading,
): AsyncGenerator<readonly JsonMember[], void, undefined> {
  try {
    yield* readMembers(content.stream(), readingOf);
  } catch (error) {
    if (!(error instanceof JsonFormatError)) throw error;
    throw new PageFormatError(error.message, { cause: error });
  }
}
