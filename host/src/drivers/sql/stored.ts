import { asEntrepotError } from '@entrepot/core';

/** Runs `work`; what fails in it is an `EntrepotError` of kind `storage` that says what could not be done. */
export async function stored<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asEntrepotError(error, 'storage', `cannot ${action}`);
  }
}
