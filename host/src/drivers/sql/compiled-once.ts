import type { Compilable, CompiledQuery, Kysely, QueryResult } from 'kysely';
import type { Schema } from './schema.js';

/** Compiled statements by their names, for each database: placeholders differ. */
const STATEMENTS = new WeakMap<object, Map<string, CompiledQuery>>();

/**
 * Runs a statement of which only the values differ from call to call. It is compiled once: to build one takes longer than to
 * run it.
 * @param name of the statement, with all that its text depends on
 * @param values in the order in which `build` gives them
 */
export async function compiledOnce<Row>(
  database: Kysely<Schema>,
  name: string,
  build: () => Compilable<Row>,
  values: readonly unknown[],
): Promise<QueryResult<Row>> {
  // Transactions have executors of their own, over the same adapter.
  const { adapter } = database.getExecutor();
  const statements = STATEMENTS.get(adapter) ?? new Map<string, CompiledQuery>();
  STATEMENTS.set(adapter, statements);
  const statement = statements.get(name) ?? build().compile();
  statements.set(name, statement);
  return await database.executeQuery({ ...(statement as CompiledQuery<Row>), parameters: values });
}
