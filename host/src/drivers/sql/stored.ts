import { asEntrepotError, EntrepotError, isFull } from '@entrepot/core';

/** Seconds after which clients may ask a database again that has failed. */
const RETRY_AFTER = 5;

/** How long a query may take, in milliseconds: one that a client waits for, one that changes something, and one over whole tables. */
export const DEADLINES = { read: 5_000, write: 10_000, long: 60_000 } as const;

/**
 * Runs `work` within its deadline. A late query goes on by itself, but its caller gets an error.
 * @throws EntrepotError `storage` 503 that names the failed action, with the code `STORAGE_TIMEOUT` where it is late;
 * 507 where the disk is full
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
