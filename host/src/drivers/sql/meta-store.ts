import { SqlStore } from './sql-store.js';
import { stored } from './stored.js';

/** Facts about the database as a whole, by name. */
export class SqlMetaStore extends SqlStore {
  async get(name: string): Promise<string | undefined> {
    const row = await stored('read a fact', () =>
      this.database.selectFrom('meta').select('value').where('name', '=', name).executeTakeFirst(),
    );
    return row?.value;
  }

  async set(name: string, value: string): Promise<void> {
    await stored('note a fact', () =>
      this.database
        .insertInto('meta')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute(),
    );
  }

  /** Notes a fact where none is known. @returns the one in force */
  async setOnce(name: string, value: string): Promise<string> {
    await stored('note a fact', () =>
      this.database
        .insertInto('meta')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute(),
    );
    return (await this.get(name)) ?? value;
  }
}
