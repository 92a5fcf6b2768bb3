/** A statement of a migration, in the types of SQLite; or those of each kind of database, where they differ. */
export type Statement = string | { readonly sqlite: readonly string[]; readonly postgres: readonly string[] };
