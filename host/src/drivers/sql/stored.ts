import { asEntrepotError, EntrepotError } from '@entrepot/core';

/** How long a query may take, in milliseconds: one that a client waits for, one that changes something, and one over whole tables. */
export const DEADLINES = { read: 5_000, write: 10_000, long: 60_000 } as const;

/**
 * Runs `work`, which has to be done by its deadline. A query that is late goes on by itself: whoever waits for it is let go.
 * @throws EntrepotError `storage` that says what could not be done, with the code `STORAGE_TIMEOUT` where it is late
 */
export async function stored<T>(
  action: string,
  work: () => Promise<T>,
  deadline: keyof typeof DEADLINES = 'long',
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate(action, DEADLINES[deadline])), DEADLINES[deadline]).unref();
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw asEntrepotError(error, 'storage', `cannot ${action}`);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(action: string, milliseconds: number): EntrepotError {
  return new EntrepotError('storage', `cannot ${action}: the database has not answered for ${milliseconds} ms`, {
    code: 'STORAGE_TIMEOUT',
    status: 503,
    retryAfter: 5,
  });
}
