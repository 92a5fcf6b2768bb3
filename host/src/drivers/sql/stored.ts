import { asEntrepotError, EntrepotError, isFull } from '@entrepot/core';

/** Seconds after which clients may ask a database again that has failed. */
const RETRY_AFTER = 5;

/** How long a query may take, in milliseconds: one that a client waits for, one that changes something, and one over whole tables. */
export const DEADLINES = { read: 5_000, write: 10_000, long: 60_000 } as const;

/**
 * Runs `work`, which has to be done by its deadline. A query that is late goes on by itself: whoever waits for it is let go.
 * @throws EntrepotError `storage` 503 that says what could not be done, with the code `STORAGE_TIMEOUT` where it is late; 507 where the disk is full
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
    const isKnown = error instanceof EntrepotError || isFull(error);
    throw isKnown ? asEntrepotError(error, 'storage', `cannot ${action}`) : failed(action, error);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(action: string, milliseconds: number): EntrepotError {
  return new EntrepotError('storage', `cannot ${action}: the database has not answered for ${milliseconds} ms`, {
    code: 'STORAGE_TIMEOUT',
    status: 503,
    retryAfter: RETRY_AFTER,
  });
}

function failed(action: string, cause: unknown): EntrepotError {
  return new EntrepotError('storage', `cannot ${action}: the database failed`, {
    code: 'STORAGE_UNAVAILABLE',
    status: 503,
    retryAfter: RETRY_AFTER,
    cause,
  });
}
