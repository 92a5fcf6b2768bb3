import { silentLogger } from '@entrepot/core';
import { entryIndexSuite } from '@entrepot/core/testing';
import { sql } from 'kysely';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { openPostgres } from '../../../src/drivers/sql/postgres.js';
import { entryIndexFixture } from './entry-index-fixture.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from './postgres-server.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);

let starting: Promise<PostgresServer> | undefined;
const server = (): Promise<PostgresServer> => (starting ??= PostgresServer.start(programs as string));
const open = (url: string) => openPostgres({ url, maxConnections: 4, logger: silentLogger });

afterAll(async () => await (await starting)?.stop());

async function fixture() {
  const url = await (await server()).database();
  return entryIndexFixture(() => open(url));
}

describe.skipIf(programs === undefined)('PostgreSQL', () => {
  entryIndexSuite({ describe, it }, fixture, { replicas: true, outage: true });

  it('is brought up to date by several processes at once', async () => {
    const url = await (await server()).database();
    const all = await Promise.all([open(url), open(url), open(url)]);
    onTestFinished(async () => {
      for (const database of all) await database.destroy();
    });
    const { rows } = await sql<{ count: string }>`select count(*) from kysely_migration`.execute(all[0]);
    expect(Number(rows[0]?.count)).toBeGreaterThan(0);
  });

  it('does long work on its connections, and leaves copies to its own tools', async () => {
    const database = await open(await (await server()).database());
    await database.insertInto('probes').values({ id: 1, written: 'x' }).execute();
    const rows = await database.aside.all(database.selectFrom('probes').selectAll().compile());
    expect(rows).toEqual([{ id: '1', written: 'x' }]);
    expect(database.aside.copyTo).toBeUndefined();
    await database.destroy();
  });

  it('is refused where it cannot be reached, without its password', async () => {
    const url = 'postgres://somebody:secret@127.0.0.1:1/none';
    await expect(open(url)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/^cannot open the database postgres:\/\/127\.0\.0\.1:1\/none: .*ECONNREFUSED/),
    });
  });

  it('is refused when a newer version has been there', async () => {
    const url = await (await server()).database();
    const database = await open(url);
    await sql`insert into kysely_migration values ('9999-later', '2099-01-01')`.execute(database);
    await database.destroy();
    await expect(open(url)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('9999-later'),
    });
  });
});
