import { Gate } from '@entrepot/core/testing';
import { Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { Schema } from '../../../src/drivers/sql/schema.js';
import { SqliteDriver } from '../../../src/drivers/sql/sqlite-driver.js';
import { openFile } from '../../../src/drivers/sql/sqlite-file.js';
import { WriteAheadLog } from '../../../src/drivers/sql/write-ahead-log.js';

/** The real log, whose syncs are counted and can be held back. */
export class HeldLog extends WriteAheadLog {
  gate = new Gate();
  syncs = 0;

  override async sync(): Promise<void> {
    this.syncs += 1;
    await this.gate.pass();
    await super.sync();
  }
}

/** Opens a database whose tables are up to date, with a log that can be held back. */
export function openHeld(path: string): { readonly database: Kysely<Schema>; readonly log: HeldLog } {
  const log = new HeldLog(path);
  const connection = openFile(path, {});
  connection.exec('pragma synchronous = NORMAL');
  const database = new Kysely<Schema>({
    dialect: {
      createDriver: () => new SqliteDriver(connection, path, log),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (kysely) => new SqliteIntrospector(kysely),
    },
  });
  return { database, log };
}
