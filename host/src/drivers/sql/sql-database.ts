import { Kysely, type KyselyConfig } from 'kysely';
import { type Aside, pooledAside } from './aside.js';
import type { Schema } from './schema.js';

/** The database, opened and up to date. */
export class SqlDatabase extends Kysely<Schema> {
  readonly aside: Aside;

  /** @param aside Left out: its work is done on the connections of the dialect. */
  constructor(config: KyselyConfig, aside?: Aside) {
    super(config);
    this.aside = aside ?? pooledAside(this);
  }

  override async destroy(): Promise<void> {
    // The last connection that is closed puts the log into the file: let it be the one that writes.
    await this.aside.dispose();
    await super.destroy();
  }
}
