import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '@entrepot/core';
import { SqlLeases } from '../../../src/drivers/sql/leases.js';
import type { SqlDatabase } from '../../../src/drivers/sql/sql-database.js';

const WRITERS = 8;
/** A write that waits for a deadline takes longer. */
const MOST = 10_000;

/**
 * Writes all the time, and lets the server be restarted meanwhile.
 * @param restart resolves when it takes connections again
 * @returns how long after that all writers have written; milliseconds
 * @throws Error when that takes too long
 */
export async function writesAgainAfter(database: SqlDatabase, restart: () => Promise<void>): Promise<number> {
  const leases = new SqlLeases(database, systemClock);
  const ending = new AbortController();
  let up = Infinity;
  let waiting = WRITERS;
  const { promise: allWrote, resolve } = Promise.withResolvers<number>();
  const write = async (writer: number): Promise<void> => {
    let wrote = false;
    for (let at = 0; !ending.signal.aborted; at += 1) {
      try {
        await leases.acquire(`work-${writer}-${at}`, 1_000);
        if (wrote || up === Infinity) continue;
        wrote = true;
        waiting -= 1;
        if (waiting === 0) resolve(performance.now() - up);
      } catch {
        await delay(5);
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer));
  try {
    await restart();
    up = performance.now();
    const late = delay(MOST, undefined, { signal: ending.signal }).then(() => {
      throw new Error(`writes were expected to succeed within ${MOST} ms`);
    });
    return await Promise.race([allWrote, late]);
  } finally {
    ending.abort();
    await Promise.all(writers);
  }
}
