import type { CompiledQuery, Kysely } from 'kysely';

/** Long work on a database that changes nothing in it. It keeps neither the event loop nor requests from theirs. */
export interface Aside {
  /**
   * Runs a query over whole tables.
   * @returns all of its rows, which are in memory together
   * @throws as other queries of the database do; also when it is closed before there is an answer
   */
  all<Row>(query: CompiledQuery<Row>): Promise<readonly Row[]>;
  /**
   * Copies the database, as it is at one moment, into a file that does not exist yet. The copy is durable, and other users may not
   * read it. An end of the process leaves a part of it. Absent where a database has tools of its own for this.
   * @throws EntrepotError `storage`, with the status 507 when the disk is full; then there is no file
   */
  readonly copyTo?: (path: string) => Promise<void>;
  /** Ends what is under way, with an error for who waits for it. */
  dispose(): Promise<void>;
}

/** Runs long work on connections like all others, for a database in another process. */
export function pooledAside(database: Pick<Kysely<unknown>, 'executeQuery'>): Aside {
  return {
    all: async (query) => (await database.executeQuery(query)).rows,
    async dispose() {},
  };
}
