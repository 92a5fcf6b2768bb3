import type { Migration } from 'kysely';
import type { SqlDialect } from '../dialect.js';

/** Tables of scan reports, scan jobs, exceptions, quarantine, policy decisions and downloads. */
export function policy({ text, integer }: SqlDialect): Migration {
  return {
    async up(database) {
      await database.schema
        .createTable('reports')
        .addColumn('subject', text, (column) => column.notNull())
        .addColumn('scanner', text, (column) => column.notNull())
        .addColumn('digest', text)
        .addColumn('revision', text, (column) => column.notNull())
        .addColumn('state', text, (column) => column.notNull())
        .addColumn('coverage', text)
        .addColumn('findings', text, (column) => column.notNull())
        .addColumn('detail', text)
        .addColumn('scanned_at', integer, (column) => column.notNull())
        .addColumn('change', integer, (column) => column.notNull())
        .addColumn('ecosystem', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', text)
        .addPrimaryKeyConstraint('reports_key', ['subject', 'scanner'])
        .execute();
      await database.schema.createIndex('reports_package').on('reports').columns(['ecosystem', 'name']).execute();
      await database.schema.createIndex('reports_change').on('reports').column('change').execute();
      await database.schema
        .createTable('scan_jobs')
        .addColumn('id', text, (column) => column.notNull().primaryKey())
        .addColumn('subject', text, (column) => column.notNull())
        .addColumn('scanner', text, (column) => column.notNull())
        .addColumn('revision', text, (column) => column.notNull())
        .addColumn('digest', text)
        .addColumn('ecosystem', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', text)
        .addColumn('priority', integer, (column) => column.notNull())
        .addColumn('attempts', integer, (column) => column.notNull())
        .addColumn('not_before', integer, (column) => column.notNull())
        .addColumn('lease_owner', text)
        .addColumn('lease_until', integer, (column) => column.notNull())
        .addColumn('generation', integer, (column) => column.notNull())
        .addColumn('asked_at', integer, (column) => column.notNull())
        .addUniqueConstraint('scan_jobs_work', ['subject', 'scanner', 'revision'])
        .execute();
      await database.schema.createIndex('scan_jobs_order').on('scan_jobs').columns(['priority', 'asked_at']).execute();
      await database.schema
        .createTable('scanner_revisions')
        .addColumn('scanner', text, (column) => column.notNull().primaryKey())
        .addColumn('revision', text, (column) => column.notNull())
        .execute();
      await database.schema
        .createTable('exceptions')
        .addColumn('id', text, (column) => column.notNull().primaryKey())
        .addColumn('body', text, (column) => column.notNull())
        .addColumn('expires_at', integer, (column) => column.notNull())
        .addColumn('last_used_at', integer)
        .execute();
      await database.schema
        .createTable('quarantine')
        .addColumn('repository', text, (column) => column.notNull())
        .addColumn('ecosystem', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', text, (column) => column.notNull())
        .addColumn('state', text, (column) => column.notNull())
        .addColumn('rules', text, (column) => column.notNull())
        .addColumn('held_at', integer, (column) => column.notNull())
        .addColumn('asked_at', integer, (column) => column.notNull())
        .addColumn('until', integer)
        .addColumn('decided_at', integer)
        .addColumn('decided_by', text)
        .addColumn('note', text)
        .addPrimaryKeyConstraint('quarantine_key', ['repository', 'ecosystem', 'name', 'version'])
        .execute();
      await database.schema
        .createTable('decisions')
        .addColumn('id', text, (column) => column.notNull().primaryKey())
        .addColumn('at', integer, (column) => column.notNull())
        .addColumn('repository', text, (column) => column.notNull())
        .addColumn('ecosystem', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', text)
        .addColumn('action', text, (column) => column.notNull())
        .addColumn('body', text, (column) => column.notNull())
        .execute();
      await database.schema.createIndex('decisions_time').on('decisions').column('at').execute();
      await database.schema.createIndex('decisions_package').on('decisions').columns(['ecosystem', 'name']).execute();
      await database.schema
        .createTable('downloads')
        .addColumn('repository', text, (column) => column.notNull())
        .addColumn('ecosystem', text, (column) => column.notNull())
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', text, (column) => column.notNull())
        .addColumn('digest', text, (column) => column.notNull())
        .addColumn('caller', text, (column) => column.notNull())
        .addColumn('address', text, (column) => column.notNull())
        .addColumn('day', integer, (column) => column.notNull())
        .addColumn('first_at', integer, (column) => column.notNull())
        .addColumn('last_at', integer, (column) => column.notNull())
        .addColumn('times', integer, (column) => column.notNull())
        .addPrimaryKeyConstraint('downloads_key', [
          'ecosystem',
          'name',
          'version',
          'repository',
          'digest',
          'caller',
          'address',
          'day',
        ])
        .execute();
      await database.schema.createIndex('downloads_day').on('downloads').column('day').execute();
      // Which kept artifacts an advisory is about is asked by name.
      await database.schema.createIndex('entries_package').on('entries').columns(['ecosystem', 'name']).execute();
    },
  };
}
