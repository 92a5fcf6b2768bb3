import { createHash } from 'node:crypto';
import { packageUrl, type Clock, type PackageCoordinates } from '@entrepot/core';
import { versionIdentity } from '@entrepot/core/engine';
import type { ChangeCounts } from '../drivers/sql/changes.js';
import type { KeptException, SqlExceptionStore } from '../drivers/sql/exception-store.js';
import type { Quarantined, SqlQuarantineStore } from '../drivers/sql/quarantine-store.js';

/** The most denials by people that are in force. */
const MAX_DENIALS = 50_000;
/** Stands for all repositories, in place of a repository's name. */
export const EVERYWHERE = '*';
const NONE_DENIED = '0';

/** Decisions of administrators in memory: exceptions and denied versions. Kept up to date with other processes. */
export class StandingDecisions {
  readonly #exceptions: SqlExceptionStore;
  readonly #quarantine: SqlQuarantineStore;
  readonly #clock: Clock;
  readonly #used = new Map<string, number>();
  /** All exceptions, those that have ended too: the same array as long as nothing has changed. */
  exceptions: readonly KeptException[] = [];
  /** Names what is denied: the same on all servers where the same is. */
  revision = NONE_DENIED;
  #denied: ReadonlyMap<string, Quarantined> = new Map();
  #seen: Pick<ChangeCounts, 'exceptions' | 'quarantine'> | undefined;

  constructor(exceptions: SqlExceptionStore, quarantine: SqlQuarantineStore, clock: Clock) {
    this.#exceptions = exceptions;
    this.#quarantine = quarantine;
    this.#clock = clock;
  }

  /** Whether anything is denied. */
  get denies(): boolean {
    return this.#denied.size > 0;
  }

  /** The denial of a version, if there is one. */
  denial(repository: string, { ecosystem, name, version }: PackageCoordinates): Quarantined | undefined {
    if (this.#denied.size === 0) return undefined;
    for (const place of [repository, EVERYWHERE]) {
      const denied =
        this.#denied.get(keyOf(place, { ecosystem, name, version })) ??
        this.#denied.get(keyOf(place, { ecosystem, name }));
      if (denied !== undefined) return denied;
    }
    return undefined;
  }

  /** Notes that exceptions kept rules from firing. */
  used(ids: readonly string[]): void {
    const now = this.#clock.now();
    for (const id of ids) this.#used.set(id, now);
  }

  /** Reads what has changed since the last time. @param counts what is known of changes */
  async refresh({ exceptions, quarantine }: Pick<ChangeCounts, 'exceptions' | 'quarantine'>): Promise<void> {
    const seen = this.#seen;
    if (seen?.exceptions !== exceptions) this.exceptions = await this.#exceptions.list();
    if (seen?.quarantine !== quarantine) {
      const denied = await this.#quarantine.list(MAX_DENIALS, 'denied');
      this.#denied = new Map(denied.map((one) => [keyOf(one.repository, one.coordinates), one]));
      this.revision = namesOf(this.#denied);
    }
    this.#seen = { exceptions, quarantine };
  }

  /** Stores which exceptions were used. */
  async flush(): Promise<void> {
    if (this.#used.size === 0) return;
    const uses = new Map(this.#used);
    this.#used.clear();
    await this.#exceptions.recordUse(uses);
  }
}

function namesOf(denied: ReadonlyMap<string, Quarantined>): string {
  if (denied.size === 0) return NONE_DENIED;
  const hash = createHash('sha256');
  for (const key of [...denied.keys()].sort()) hash.update(`${key}\n\n`);
  return hash.digest('hex').slice(0, 16);
}

/** The same for all spellings of a version: a denial of `1.0` is one of `1.0.0`. */
function keyOf(repository: string, { ecosystem, name, version }: PackageCoordinates): string {
  const identity = version === undefined ? undefined : versionIdentity(ecosystem, version);
  return `${repository}\n${packageUrl({ ecosystem, name, version: identity })}`;
}
