import type { Selectable } from 'kysely';
import type { AuditTable } from './schema.js';
import { given, SqlStore } from './sql-store.js';
import { stored } from './stored.js';

export type AuditKind = 'change' | 'denial';

/** A change, or denials of one minute that are equal. Times are milliseconds since the epoch. */
export interface AuditRecord {
  /** In the order of the time. */
  readonly id: string;
  readonly kind: AuditKind;
  readonly event: string;
  readonly at: number;
  /** Time at which it last happened. */
  readonly lastAt: number;
  readonly times: number;
  /** A user, the subject of a token, or `key:` and the name of a key. Absent: nobody knows. */
  readonly actor?: string | undefined;
  readonly address?: string | undefined;
  readonly repository?: string | undefined;
  /** The thing that was changed, or asked for. */
  readonly subject?: string | undefined;
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
}

/** A selection of records. */
export interface AuditQuery {
  readonly kind?: AuditKind | undefined;
  readonly event?: string | undefined;
  readonly actor?: string | undefined;
  readonly address?: string | undefined;
  readonly repository?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** The id of the last record of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Rows that are written together: they may not hold up those who serve. */
const GROUP = 200;
/** Digits of the time at the beginning of an id. */
const TIME_DIGITS = 12;

/** The beginning of all ids of a time: hexadecimal, so that they sort as numbers do. */
export function timeOfId(at: number): string {
  return Math.max(0, Math.floor(at)).toString(16).padStart(TIME_DIGITS, '0');
}

/** The audit log of all processes on one database. */
export class SqlAuditStore extends SqlStore {
  /** Adds records. Denials that are there already happened so many times more. */
  async record(records: readonly AuditRecord[]): Promise<void> {
    for (let from = 0; from < records.length; from += GROUP) {
      const rows = records.slice(from, from + GROUP).map(toRow);
      await this.transaction('write the audit log', async (transaction) => {
        for (const row of rows)
          await transaction
            .insertInto('audit')
            .values(row)
            .onConflict((conflict) =>
              conflict.column('id').doUpdateSet((kept) => ({
                last_at: row.last_at,
                times: row.kind === 'change' ? row.times : kept('audit.times', '+', row.times),
              })),
            )
            .execute();
      });
    }
  }

  /** The newest first. */
  async list(query: AuditQuery): Promise<readonly AuditRecord[]> {
    const { kind, event, actor, address, repository, since, until, after, limit } = query;
    const rows = await stored('read the audit log', () =>
      this.database
        .selectFrom('audit')
        .selectAll()
        .where(({ and }) => and(given({ kind, event, actor, address, repository })))
        .$if(since !== undefined, (all) => all.where('id', '>=', timeOfId(since ?? 0)))
        .$if(until !== undefined, (all) => all.where('id', '<', timeOfId(until ?? 0)))
        .$if(after !== undefined, (all) => all.where('id', '<', after ?? ''))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute(),
    );
    return rows.map(toRecord);
  }

  /** Forgets records of a kind from before `before`, and of the rest all but the newest `most`. */
  async prune(kind: AuditKind, before: number, most: number): Promise<void> {
    await stored('tidy the audit log', async () => {
      const rows = this.database.deleteFrom('audit').where('kind', '=', kind);
      await rows.where('id', '<', timeOfId(before)).execute();
      await rows
        .where('id', '<=', (select) =>
          select.selectFrom('audit').select('id').where('kind', '=', kind).orderBy('id', 'desc').offset(most).limit(1),
        )
        .execute();
    });
  }
}

function toRow({ lastAt, actor, address, repository, subject, detail, ...record }: AuditRecord): AuditTable {
  return {
    ...record,
    last_at: lastAt,
    actor: actor ?? null,
    address: address ?? null,
    repository: repository ?? null,
    subject: subject ?? null,
    detail: detail === undefined ? null : JSON.stringify(detail),
  };
}

function toRecord(row: Selectable<AuditTable>): AuditRecord {
  return {
    id: row.id,
    kind: row.kind as AuditKind,
    event: row.event,
    at: Number(row.at),
    lastAt: Number(row.last_at),
    times: Number(row.times),
    actor: row.actor ?? undefined,
    address: row.address ?? undefined,
    repository: row.repository ?? undefined,
    subject: row.subject ?? undefined,
    detail: row.detail === null ? undefined : (JSON.parse(row.detail) as Record<string, unknown>),
  };
}
