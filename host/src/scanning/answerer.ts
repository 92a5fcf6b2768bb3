import type { EngineServices } from '@entrepot/core/engine';
import type { HostScanner } from './scan-worker.js';

/** Asks the scanners that answer from their database, one after another. `undefined`: there is none. */
export function answererOf(scanners: readonly HostScanner[]): EngineServices['answer'] {
  const able = scanners.filter(({ scanner }) => scanner.answer !== undefined);
  if (able.length === 0) return undefined;
  return async (question) => {
    for (const { scanner } of able) {
      const answer = await scanner.answer?.(question);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
}
