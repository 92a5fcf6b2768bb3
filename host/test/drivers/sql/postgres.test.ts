import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { silentLogger } from '@entrepot/core';
import { entryIndexSuite } from '@entrepot/core/testing';
import { sql } from 'kysely';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openPostgres, postgresVersion } from '../../../src/drivers/sql/postgres.js';
import { PostgresNotices } from '../../../src/drivers/sql/postgres-notices.js';
import type { PostgresSettings } from '../../../src/drivers/sql/postgres-settings.js';
import { makeCertificate } from '../certificates.js';
import { entryIndexFixture } from './entry-index-fixture.js';
import { writesAgainAfter } from './restart-load.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from './postgres-server.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);

let starting: Promise<PostgresServer> | undefined;
const server = (): Promise<PostgresServer> => (starting ??= PostgresServer.start(programs as string));
const open = (url: string) => openPostgres({ url, maxConnections: 4, logger: silentLogger });

afterAll(async () => await (await starting)?.stop());

/** A relay to a port. Connections that it has can be let fall silent; later ones are relayed. */
class SilentRelay {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#relay(socket));
  port = 0;

  constructor(target: number) {
    this.#target = target;
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
  }

  silence(): void {
    for (const socket of this.#sockets) socket.pause().removeAllListeners('data');
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #relay(client: Socket): void {
    const target = connect(this.#target, '127.0.0.1');
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
  }
}

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

  it('is opened by host, user and password, with TLS', async () => {
    const pair = makeCertificate();
    const rules = ['hostssl all secured 127.0.0.1/32 scram-sha-256', 'host all secured 127.0.0.1/32 reject'];
    const own = await PostgresServer.start(programs as string, { rules, pair });
    onTestFinished(() => own.stop());
    const admin = await open(await own.database());
    await sql`create role secured login password 'right-password'`.execute(admin);
    await sql`grant all on schema public to secured`.execute(admin);
    await admin.destroy();
    const place = { host: '127.0.0.1', port: own.port, database: 'test1', user: 'secured', password: 'right-password' };
    const ask = (more: Partial<PostgresSettings>) => postgresVersion({ ...place, ...more });
    const { cert: ca } = pair;
    expect(await ask({ tls: { mode: 'verify-full', ca } })).toMatch(/^\d+/);
    expect(await ask({ host: 'localhost', tls: { mode: 'verify-ca', ca } })).toMatch(/^\d+/);
    expect(await ask({ tls: { mode: 'require' } })).toMatch(/^\d+/);
    const url = `postgres://secured:right-password@127.0.0.1:${own.port}/test1`;
    expect(await postgresVersion({ url, tls: { mode: 'verify-full', ca } })).toMatch(/^\d+/);
    await expect(ask({ tls: { mode: 'disable' } })).rejects.toThrow(/rejects connection/);
    await expect(ask({ tls: { mode: 'verify-full' } })).rejects.toThrow(/self-signed/);
    await expect(ask({ host: 'localhost', tls: { mode: 'verify-full', ca } })).rejects.toThrow(/altnames/);
    await expect(ask({ tls: { mode: 'require' }, password: 'wrong-password' })).rejects.toThrow(
      /password authentication failed/,
    );
    const opening = openPostgres({
      ...place,
      password: 'wrong-password',
      tls: { mode: 'require' },
      maxConnections: 1,
      logger: silentLogger,
    });
    await expect(opening).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/^cannot open the database postgres:\/\/127\.0\.0\.1:\d+\/test1: password/),
    });
    const missing = { mode: 'verify-full', ca: '/nowhere/ca.pem' } as const;
    await expect(ask({ tls: missing })).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/^metadata\.tls\.ca: the file \/nowhere\/ca\.pem cannot be read \(ENOENT\)/),
    });
  });

  it('takes writes again soon after it was restarted', async () => {
    const own = await PostgresServer.start(programs as string);
    onTestFinished(() => own.stop());
    const database = await open(await own.database());
    onTestFinished(() => database.destroy());
    const notices = await PostgresNotices.open({ url: own.url('test1') }, { database, logger: silentLogger });
    onTestFinished(() => notices.dispose());
    const back = await writesAgainAfter(database, () => own.restart());
    console.log(`# PostgreSQL was restarted: writes succeed ${back.toFixed(0)} ms after it takes connections`);
    await vi.waitFor(() => expect(notices.arrive).toBe(true), 30_000);
  }, 60_000);

  it('that ends in the middle of a transaction is an error of that one alone', async () => {
    const own = await PostgresServer.start(programs as string);
    onTestFinished(() => own.stop());
    const database = await open(await own.database());
    onTestFinished(() => database.destroy());
    const work = database.transaction().execute(async (transaction) => {
      await sql`select 1`.execute(transaction);
      // Nothing is being asked on this connection.
      await own.restart();
      await sql`select 1`.execute(transaction);
    });
    await expect(work).rejects.toThrow();
    expect((await sql`select 1 as one`.execute(database)).rows).toEqual([{ one: 1 }]);
  });

  it('gives up a connection on which no answer came', async () => {
    const relay = new SilentRelay((await server()).port);
    await relay.start();
    onTestFinished(() => relay.stop());
    const url = new URL(await (await server()).database());
    url.port = `${relay.port}`;
    const database = await openPostgres({
      url: url.href,
      maxConnections: 1,
      queryTimeout: 300,
      logger: silentLogger,
    });
    onTestFinished(() => database.destroy());
    relay.silence();
    const write = database.transaction().execute(async (transaction) => await sql`select 1`.execute(transaction));
    await expect(write).rejects.toThrow();
    // The path is there again, for new connections.
    expect((await sql`select 1 as one`.execute(database)).rows).toEqual([{ one: 1 }]);
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
