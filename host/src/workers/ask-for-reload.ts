import type { ReloadOutcome } from '../config/reload-outcome.js';
import { isOurs, tell } from './seat.js';

let asked = 0;

/** Has the supervisor of this worker read the configuration again, for all workers. */
export async function askForReload(): Promise<ReloadOutcome> {
  const id = (asked += 1);
  return await new Promise((resolve) => {
    const hear = (message: unknown): void => {
      if (!isOurs(message) || message.entrepot !== 'reloaded' || message.id !== id) return;
      process.off('message', hear);
      resolve(message.outcome);
    };
    process.on('message', hear);
    tell({ entrepot: 'reload?', id });
  });
}
