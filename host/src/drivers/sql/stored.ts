import { asEntrepotError, EntrepotError, isFull } from '@entrepot/core';

/** Seconds after which clients may ask a database again that has failed. */
const RETRY_AFTER = 5;

/** The longest time of a query, in milliseconds: of one that a client waits for, one that changes something, and one over whole tables. */
export const DEADLINES = { read: 5_000, write: 10_000, long: 60_000 } as const;

/** `storedWithin` the deadline of queries over whole tables. */
export function stored<T>(action: string, work: () => Promise<T>): Promise<T> {
  return storedWithin('long', action, work);
}

/**
 * Runs `work` within its deadline. A late query goes on by itself, but its caller gets an error.
 * @throws EntrepotError `storage` 503 that names the failed action, with the code `STORAGE_TIMEOUT` where it is late;
 * 507 where the disk is full
 */
export async function storedWithin<T>(
  deadline: keyof typeof DEADLINES,
  action: string,
  work: () => Promise<T>,
): Promise<T> {
  const most = DEADLINES[deadline];
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const end = (): void =>
      reject(failure('STORAGE_TIMEOUT', `${action}: the database has not answered for ${most} ms`));
    timer = setTimeout(end, most).unref();
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    if (error instanceof EntrepotError || isFull(error)) throw asEntrepotError(error, 'storage', `cannot ${action}`);
    throw failure('STORAGE_UNAVAILABLE', `${action}: the database failed`, error);
  } finally {
    clearTimeout(timer);
  }
}

function failure(code: string, what: string, cause?: unknown): EntrepotError {
  return new EntrepotError('storage', `cannot ${what}`, { code, status: 503, retryAfter: RETRY_AFTER, cause });
}
