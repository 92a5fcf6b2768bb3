import type { Statement } from './statement.js';

/** Whether an entry of a package is there. */
function isKept(row: 'old' | 'new'): string {
  return `exists (select 1 from entries where ecosystem = ${row}.ecosystem and name = ${row}.name)`;
}

const ADD = `insert into names (ecosystem, name, folded) select new.ecosystem, new.name, lower(new.name)
  where not exists (select 1 from names where ecosystem = new.ecosystem and name = new.name)`;
const REMOVE = `delete from names where ecosystem = old.ecosystem and name = old.name and not ${isKept('old')}`;

/**
 * The names of packages that entries are of, to be searched for by any part of them. SQLite keeps a table of them, each once, with the
 * sequences of three letters that they are made of. PostgreSQL has an index of its own over those, where the server has the extension for
 * it; without it, it looks through all rows. A table that transactions of several servers put the same new names into would have them wait
 * for each other in both orders.
 */
export const SEARCH: readonly Statement[] = [
  'drop index entries_package',
  'create index entries_package on entries (ecosystem, name, repository, version)',
  {
    sqlite: [
      `create table names (
        id integer primary key, ecosystem text not null, name text not null, folded text not null,
        constraint names_name unique (ecosystem, name))`,
      `insert into names (ecosystem, name, folded)
        select distinct ecosystem, name, lower(name) from entries where ecosystem is not null and name is not null`,
      'create index names_folded on names (folded, ecosystem)',
      `create virtual table name_parts using fts5 (
        folded, content='names', content_rowid='id', tokenize='trigram case_sensitive 1', detail='none', columnsize=0)`,
      "insert into name_parts (name_parts) values ('rebuild')",
      `create trigger names_added after insert on names begin
        insert into name_parts (rowid, folded) values (new.id, new.folded);
      end`,
      `create trigger names_removed after delete on names begin
        insert into name_parts (name_parts, rowid, folded) values ('delete', old.id, old.folded);
      end`,
      `create trigger entries_named after insert on entries when new.name is not null and new.ecosystem is not null begin
        ${ADD};
      end`,
      `create trigger entries_unnamed after delete on entries when old.name is not null begin
        ${REMOVE};
      end`,
      `create trigger entries_renamed after update of ecosystem, name on entries
        when new.name is not old.name or new.ecosystem is not old.ecosystem begin
        insert into names (ecosystem, name, folded) select new.ecosystem, new.name, lower(new.name)
          where new.name is not null and new.ecosystem is not null
          and not exists (select 1 from names where ecosystem = new.ecosystem and name = new.name);
        ${REMOVE};
      end`,
    ],
    postgres: [
      'create index entries_folded on entries (lower(name), ecosystem)',
      `do $$
      begin
        create extension if not exists pg_trgm;
        create index entries_name_parts on entries using gin (lower(name) gin_trgm_ops);
      exception when others then
        raise notice 'names are searched for without an index: %', sqlerrm;
      end $$`,
    ],
  },
];
