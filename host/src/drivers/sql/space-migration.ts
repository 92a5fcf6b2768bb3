import type { Statement } from './statement.js';

const ENTRY_COLUMNS =
  'repository, key, digest, size, media_type, headers, etag, last_modified, upstream_url, fetched_at, checked_at, integrity, ' +
  'ecosystem, name, version, attributes, accessed_at, facts, facts_from';

/** Blobs below this size are small, for good: the usage of those is counted apart. Bytes. */
const SMALL = 512 * 1024;

/**
 * The catalogue of blobs, which entries refer to; what is pinned; how much of everything there is, which the database counts
 * itself, in the transaction that changes it.
 */
export const SPACE: readonly Statement[] = [
  `create table blobs (
    digest text not null primary key, size integer not null, state text not null,
    seq integer not null, visited integer not null, since integer not null)`,
  `insert into blobs (digest, size, state, seq, visited, since)
    select digest, max(size), 'live', min(fetched_at), 0, 0 from entries group by digest`,
  'create index blobs_order on blobs (seq, digest)',
  "create index blobs_state on blobs (state, since, digest) where state <> 'live'",
  'create table holds (id text not null primary key, digest text not null, until integer not null)',
  'create index holds_digest on holds (digest)',
  'create index holds_until on holds (until)',
  {
    sqlite: [
      `create table new_entries (
        repository text not null, key text not null,
        digest text not null constraint entries_blob references blobs (digest),
        size integer not null, media_type text not null,
        headers text not null, etag text, last_modified text, upstream_url text,
        fetched_at integer not null, checked_at integer not null, integrity text not null,
        ecosystem text, name text, version text, attributes text, accessed_at integer,
        facts text, facts_from text, expires_at integer, stored_by text,
        constraint entries_key primary key (repository, key))`,
      `insert into new_entries (${ENTRY_COLUMNS}) select ${ENTRY_COLUMNS} from entries`,
      'drop table entries',
      'alter table new_entries rename to entries',
      'create index entries_digest on entries (digest)',
      'create index entries_package on entries (ecosystem, name)',
      'create index entries_fetched on entries (fetched_at)',
    ],
    postgres: [
      'alter table entries add column expires_at integer',
      'alter table entries add column stored_by text',
      'alter table entries add constraint entries_blob foreign key (digest) references blobs (digest)',
    ],
  },
  'create index entries_age on entries (repository, fetched_at, key)',
  'create index entries_expiry on entries (expires_at) where expires_at is not null',
  'create table usage (repository text not null primary key, bytes integer not null, amount integer not null)',
  `insert into usage (repository, bytes, amount) select '', coalesce(sum(size), 0), count(*) from blobs`,
  `insert into usage (repository, bytes, amount) select '-', coalesce(sum(size), 0), count(*) from blobs where size < ${SMALL}`,
  'insert into usage (repository, bytes, amount) select repository, sum(size), count(*) from entries group by repository',
  {
    sqlite: [
      counting('blobs', 'insert', "''", 'new.size', 1),
      counting('blobs', 'delete', "''", '-old.size', -1),
      counting('blobs', 'insert', "'-'", 'new.size', 1, `when new.size < ${SMALL}`),
      counting('blobs', 'delete', "'-'", '-old.size', -1, `when old.size < ${SMALL}`),
      counting('entries', 'insert', 'new.repository', 'new.size', 1),
      counting('entries', 'delete', 'old.repository', '-old.size', -1),
      counting('entries', 'update of size', 'new.repository', 'new.size - old.size', 0),
    ],
    postgres: [
      `create function count_usage() returns trigger language plpgsql as $$
      declare
        place varchar; grown bigint := 0; more bigint := 0;
      begin
        if tg_op <> 'INSERT' then grown := grown - old.size; more := more - 1; end if;
        if tg_op <> 'DELETE' then grown := grown + new.size; more := more + 1; end if;
        if tg_table_name = 'blobs' then place := '';
        elsif tg_op = 'DELETE' then place := old.repository;
        else place := new.repository; end if;
        insert into usage as u (repository, bytes, amount) values (place, grown, more)
          on conflict (repository) do update set bytes = u.bytes + excluded.bytes, amount = u.amount + excluded.amount;
        if place = '' and abs(grown) < ${SMALL} then
          update usage set bytes = bytes + grown, amount = amount + more where repository = '-';
        end if;
        return null;
      end $$`,
      'create trigger count_blobs after insert or delete on blobs for each row execute function count_usage()',
      'create trigger count_entries after insert or delete or update of size on entries for each row execute function count_usage()',
    ],
  },
  `create table pins (
    id text not null primary key, subject text not null, made_at integer not null, made_by text, note text)`,
  'create table hands (scope text not null primary key, seq integer not null, key text not null)',
  `create table leases (
    name text not null primary key, owner text not null, generation integer not null, until integer not null)`,
  'create table meta (name text not null primary key, value text not null)',
];

/** A trigger of SQLite that counts what a change of `table` does to the usage of `place`. */
function counting(table: string, event: string, place: string, bytes: string, amount: number, condition = ''): string {
  const [action] = event.split(' ');
  const name = `count_${condition === '' ? '' : 'small_'}${table}_${action}`;
  return `create trigger ${name} after ${event} on ${table} ${condition} begin
    insert into usage (repository, bytes, amount) values (${place}, ${bytes}, ${amount})
      on conflict (repository) do update set bytes = usage.bytes + excluded.bytes, amount = usage.amount + excluded.amount;
  end`;
}
