import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type LogFields, silentLogger } from '@entrepot/core';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { CHANGES, countChange } from '../../../src/drivers/sql/changes.js';
import { SqlEntryIndex } from '../../../src/drivers/sql/entry-index.js';
import { NO_NOTICES, type Notices } from '../../../src/drivers/sql/notices.js';
import { openPostgres } from '../../../src/drivers/sql/postgres.js';
import { PostgresNotices } from '../../../src/drivers/sql/postgres-notices.js';
import { POSTGRES_MISSING, postgresPrograms, PostgresServer } from './postgres-server.js';

const programs = postgresPrograms();
if (programs === undefined) console.log(POSTGRES_MISSING);

let starting: Promise<PostgresServer> | undefined;
const server = (): Promise<PostgresServer> => (starting ??= PostgresServer.start(programs as string));
afterAll(async () => await (await starting)?.stop());

/** The time that a machine with other work may need; milliseconds. */
const PATIENCE = 10_000;

/** Waits until a listener hears what is sent: that it listens has to come to the database first. */
async function hears(notices: Notices, channel: string, heard: readonly (string | undefined)[]): Promise<void> {
  const before = heard.length;
  await vi.waitFor(async () => {
    await notices.notify(channel, 'first');
    expect(heard.length).toBeGreaterThan(before);
  }, PATIENCE);
}

/** A process on a database. */
async function open(url: string) {
  const database = await openPostgres({ url, maxConnections: 4, logger: silentLogger });
  onTestFinished(() => database.destroy());
  const said: [LogFields, string][] = [];
  const say = (...line: [LogFields, string]): void => void said.push(line);
  const logger = { ...silentLogger, warn: say, info: say };
  const notices = await PostgresNotices.open({ url }, { database, logger });
  onTestFinished(() => notices.dispose());
  const heard: (string | undefined)[] = [];
  return { database, notices, heard, said, hear: (payload: string | undefined) => void heard.push(payload) };
}

describe.skipIf(programs === undefined)('notices of PostgreSQL', () => {
  it('come to all processes that listen, as long as they do', async () => {
    const url = await (await server()).database();
    const [one, other] = [await open(url), await open(url)];
    expect([one.notices.arrive, other.notices.arrive]).toEqual([true, true]);
    const unlisten = one.notices.listen('work', one.hear);
    other.notices.listen('work', other.hear);
    other.notices.listen('other_work', other.hear);
    await hears(one.notices, 'work', one.heard);
    await hears(one.notices, 'work', other.heard);
    await hears(one.notices, 'other_work', other.heard);
    await one.notices.notify('work', "it's 1");
    await one.notices.notify('other_work', '2');
    await vi.waitFor(() => {
      expect(one.heard.at(-1)).toBe("it's 1");
      expect(other.heard.slice(-2)).toEqual(["it's 1", '2']);
    }, PATIENCE);
    unlisten();
    await one.notices.notify('work', '3');
    await vi.waitFor(() => expect(other.heard.at(-1)).toBe('3'), PATIENCE);
    expect(one.heard.at(-1)).toBe("it's 1");
    expect(() => one.notices.listen('no; name', one.hear)).toThrow('no; name is no name of a channel');
  });

  it('tell of revisions of repositories to the other processes', async () => {
    const url = await (await server()).database();
    const [one, other] = [await open(url), await open(url)];
    const told: unknown[] = [];
    const unwatch = new SqlEntryIndex(other.database, other.notices).watch((...change) => void told.push(change));
    other.notices.listen('work', other.hear);
    await hears(one.notices, 'work', other.heard);
    const index = new SqlEntryIndex(one.database, one.notices);
    const change = { repository: 'a hosted\none', expect: [], put: [], remove: [] };
    await index.change(change);
    await index.change(change);
    await vi.waitFor(() => {
      expect(told.slice(-2)).toEqual([
        [change.repository, 1],
        [change.repository, 2],
      ]);
    }, PATIENCE);
    unwatch();
  });

  it('come again after a restart, with a call to look for what was missed', async () => {
    const own = await PostgresServer.start(programs as string);
    onTestFinished(() => own.stop());
    const { notices, heard, hear, said } = await open(await own.database());
    notices.listen('work', hear);
    await own.restart();
    await notices.notify('work', 'perhaps lost');
    await vi.waitFor(() => expect([notices.arrive, heard.includes(undefined)]).toEqual([true, true]), 20_000);
    await vi.waitFor(async () => {
      await notices.notify('work', 'heard');
      expect(heard).toContain('heard');
    }, PATIENCE);
    expect(said.map(([, line]) => line)).toEqual([
      expect.stringMatching(/^notices of the database do not arrive/),
      'notices of the database arrive again',
    ]);
  }, 30_000);

  it('tell of a change when it is committed, and not before', async () => {
    const { database, notices, heard, hear } = await open(await (await server()).database());
    notices.listen(CHANGES, hear);
    await hears(notices, CHANGES, heard);
    const changes = (): readonly (string | undefined)[] => heard.filter((payload) => payload !== 'first');
    await expect(
      database.transaction().execute(async (transaction) => {
        await countChange(transaction, 'purges');
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    await database.transaction().execute((transaction) => countChange(transaction, 'exceptions'));
    await vi.waitFor(() => expect(changes()).toEqual(['exceptions']), PATIENCE);
    await countChange(database, 'reports');
    await countChange(database, 'quarantine');
    await vi.waitFor(() => expect(changes()).toEqual(['exceptions', 'quarantine']), PATIENCE);
  });

  it('do not keep a process from ending when nothing moves on their connection any more', async () => {
    const { port } = await server();
    const url = await (await server()).database();
    const sockets: Socket[] = [];
    const between = createServer((client) => {
      const behind = connect(port, '127.0.0.1');
      sockets.push(client, behind);
      for (const socket of [client, behind]) socket.on('error', () => {});
      client.pipe(behind).pipe(client);
    });
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      between.close();
    });
    const database = await openPostgres({ url, maxConnections: 1, logger: silentLogger });
    onTestFinished(() => database.destroy());
    const listenUrl = new URL(url);
    listenUrl.host = `127.0.0.1:${(between.address() as AddressInfo).port}`;
    const settings = { url, listenUrl: listenUrl.href };
    const notices = await PostgresNotices.open(settings, { database, logger: silentLogger });
    expect(notices.arrive).toBe(true);
    for (const socket of sockets) socket.unpipe().pause();
    await notices.dispose();
  });

  it('do not keep a process from ending, wherever they are', async () => {
    const own = await PostgresServer.start(programs as string);
    const { database, notices } = await open(await own.database());
    await own.stop();
    await notices.notify('work', 'to nobody');
    await notices.dispose();
    await notices.dispose();
    await database.destroy().catch(() => {});
  });
});

it('of a file there are none', async () => {
  expect(NO_NOTICES.arrive).toBe(false);
  await NO_NOTICES.notify('work', 'nobody');
  NO_NOTICES.listen('work', () => {})();
  await NO_NOTICES.dispose();
});
