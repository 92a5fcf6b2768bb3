import { randomUUID } from 'node:crypto';
import type { PackageCoordinates, PolicyDecision, PolicyInput } from '@entrepot/core';
import type { Kysely } from 'kysely';
import type { Schema } from './schema.js';
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
export class SqlDecisionLog {
  readonly #database: Kysely<Schema>;

  /** @param database with the tables of the newest migration; the caller closes it */
  constructor(database: Kysely<Schema>) {
    this.#database = database;
  }

  async record(decisions: readonly DecisionRecord[]): Promise<void> {
    if (decisions.length === 0) return;
    await stored('record decisions', () =>
      this.#database.transaction().execute(async (transaction) => {
        for (const { at, repository, coordinates, action, ...body } of decisions) {
          const { ecosystem, name, version = null } = coordinates;
          await transaction
            .insertInto('decisions')
            .values({ id: randomUUID(), at, repository, ecosystem, name, version, action, body: JSON.stringify(body) })
            .execute();
        }
      }),
    );
  }

  /** The newest first. */
  async list({ coordinates, repository, limit }: DecisionQuery): Promise<readonly DecisionRecord[]> {
    const rows = await stored('read decisions', () => {
      let query = this.#database.selectFrom('decisions').selectAll().orderBy('at', 'desc').limit(limit);
      if (repository !== undefined) query = query.where('repository', '=', repository);
      if (coordinates !== undefined) {
        query = query.where('ecosystem', '=', coordinates.ecosystem).where('name', '=', coordinates.name);
        if (coordinates.version !== undefined) query = query.where('version', '=', coordinates.version);
      }
      return query.execute();
    });
    return rows.map(({ at, repository: from, ecosystem, name, version, action, body }) => ({
      ...(JSON.parse(body) as Omit<DecisionRecord, 'at' | 'repository' | 'coordinates' | 'action'>),
      at: Number(at),
      repository: from,
      coordinates: { ecosystem, name, ...(version === null ? {} : { version }) },
      action: action as DecisionRecord['action'],
    }));
  }

  /** Forgets what was decided before `before`, and of the rest all but the newest `most`. */
  async prune(before: number, most: number): Promise<void> {
    await stored('tidy the decisions', async () => {
      await this.#database.deleteFrom('decisions').where('at', '<', before).execute();
      const oldest = await this.#database
        .selectFrom('decisions')
        .select('at')
        .orderBy('at', 'desc')
        .offset(most)
        .limit(1)
        .executeTakeFirst();
      if (oldest !== undefined) await this.#database.deleteFrom('decisions').where('at', '<=', oldest.at).execute();
    });
  }
}
