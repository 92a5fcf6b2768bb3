import { randomUUID } from 'node:crypto';
import type { PackageCoordinates, PolicyDecision, PolicyInput } from '@entrepot/core';
import { coordinatesOf, given, rowOf, SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** A decision that a client met. */
export interface DecisionRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly repository: string;
  readonly coordinates: PackageCoordinates;
  readonly stage: PolicyInput['stage'];
  readonly action: PolicyDecision['action'];
  readonly wouldBe?: PolicyDecision['wouldBe'];
  readonly rules: PolicyDecision['rules'];
  readonly exceptions?: readonly string[] | undefined;
  readonly caller?: string | undefined;
  /** The revision of the policy that decided. */
  readonly policy: string;
}

/** Which decisions are wanted. */
export interface DecisionQuery {
  readonly coordinates?: PackageCoordinates | undefined;
  readonly repository?: string | undefined;
  readonly limit: number;
}

/** The decisions that clients met, shared by all processes on one database. */
export class SqlDecisionLog extends SqlStore {
  async record(decisions: readonly DecisionRecord[]): Promise<void> {
    if (decisions.length === 0) return;
    await this.transaction('record decisions', async (transaction) => {
      for (const { at, repository, coordinates, action, ...body } of decisions) {
        await transaction
          .insertInto('decisions')
          .values({ id: randomUUID(), at, repository, ...rowOf(coordinates), action, body: JSON.stringify(body) })
          .execute();
      }
    });
  }

  /** The newest first. */
  async list({ coordinates, repository, limit }: DecisionQuery): Promise<readonly DecisionRecord[]> {
    const { ecosystem, name, version } = coordinates ?? {};
    const rows = await stored('read decisions', () =>
      this.database
        .selectFrom('decisions')
        .selectAll()
        .where(({ and }) => and(given({ repository, ecosystem, name, version })))
        .orderBy('at', 'desc')
        .limit(limit)
        .execute(),
    );
    return rows.map((row) => ({
      ...(JSON.parse(row.body) as Omit<DecisionRecord, 'at' | 'repository' | 'coordinates' | 'action'>),
      at: Number(row.at),
      repository: row.repository,
      coordinates: coordinatesOf(row),
      action: row.action as DecisionRecord['action'],
    }));
  }

  /** Forgets what was decided before `before`, and of the rest all but the newest `most`. */
  async prune(before: number, most: number): Promise<void> {
    await stored('tidy the decisions', async () => {
      await this.database.deleteFrom('decisions').where('at', '<', before).execute();
      await this.database
        .deleteFrom('decisions')
        .where('at', '<=', (select) =>
          select.selectFrom('decisions').select('at').orderBy('at', 'desc').offset(most).limit(1),
        )
        .execute();
    });
  }
}
