import { EntrepotError } from '@entrepot/core';
import type { SqlLeases } from '../drivers/sql/leases.js';

/** The longest time that others wait for a process of which nothing is heard, in milliseconds. */
const TERM = 60_000;

/** A lease that is renewed until it is released. */
export interface HeldLease {
  /** Aborted when another process has taken the lease over: this one was not heard of for too long. */
  readonly signal: AbortSignal;
  /** Whether it was ours all the time. @throws EntrepotError `storage` */
  confirm(): Promise<boolean>;
  release(): Promise<void>;
}

/** Takes the lease of work that one process does at a time. @returns `undefined` while another one has it */
export async function holdLease(leases: SqlLeases, name: string): Promise<HeldLease | undefined> {
  const lease = await leases.acquire(name, TERM);
  if (lease === undefined) return undefined;
  const losing = new AbortController();
  const renew = async (): Promise<void> => {
    // While the database is out of reach nobody else can take it either.
    const isOurs = await leases.renew(lease, TERM).catch(() => true);
    if (!isOurs) losing.abort(new EntrepotError('storage', `another process has taken the lease ${name} over`));
  };
  const renewing = setInterval(() => void renew(), TERM / 3).unref();
  return {
    signal: losing.signal,
    confirm: () => leases.renew(lease, TERM),
    async release() {
      clearInterval(renewing);
      await leases.release(lease).catch(() => {});
    },
  };
}
