import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import type { FollowedFlight } from '@entrepot/core/engine';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LeasedFlights } from '../../src/cluster/flight-coordinator.js';
import { leaseName } from '../../src/cluster/lease-name.js';
import { type LeaseState, SqlFlightLeases } from '../../src/drivers/sql/flight-leases.js';
import { NO_NOTICES } from '../../src/drivers/sql/notices.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { slices } from '../../src/drivers/slices.js';

const relay = { open: async () => undefined };

function flightsBy(leases: SqlFlightLeases, patience?: number): LeasedFlights {
  const flights = new LeasedFlights({
    leases,
    address: undefined,
    relay,
    notices: NO_NOTICES,
    logger: silentLogger,
    patience,
  });
  onTestFinished(() => flights.dispose());
  return flights;
}

async function follow(flights: LeasedFlights): Promise<FollowedFlight> {
  const role = await flights.take('something');
  if (role.role === 'leader') throw new Error('it was expected to follow');
  return role;
}

describe('whoever follows a fetch', () => {
  it('hears of its end when it comes just as the last look ends', async () => {
    // As many steps of others between as there may be.
    const steps = Array.from({ length: 40 }, (_, index) => index);
    const ends = steps.map(async (count) => {
      let isLive = true;
      let second: Promise<FollowedFlight> | undefined;
      const ofOther = (name: string): LeaseState => ({
        name,
        owner: 'other',
        generation: second === undefined ? 1 : 2,
        isLive,
        address: undefined,
        outcome: undefined,
      });
      const comeAfter = async (): Promise<FollowedFlight> => {
        for (let step = 0; step < count; step += 1) await undefined;
        return await follow(flights);
      };
      const leases = {
        take: async (name: string) => ofOther(name),
        look: async (names: readonly string[]) => {
          isLive = false;
          const found = names.map(ofOther);
          second ??= comeAfter();
          return found;
        },
      };
      const flights = flightsBy(leases as unknown as SqlFlightLeases);
      await (
        await follow(flights)
      ).ended;
      await (
        await (second as unknown as Promise<FollowedFlight>)
      ).ended;
    });
    await Promise.all(ends);
  });

  it('waits no more when nobody can tell who has the lease', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-leases-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const open = () => openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
    const [database, ofOther] = [await open(), await open()];
    onTestFinished(() => ofOther.destroy());
    const flights = flightsBy(new SqlFlightLeases(database), 200);
    await new SqlFlightLeases(ofOther).take(leaseName('something'), undefined);
    const { ended } = await follow(flights);
    await database.destroy();
    expect(await ended).toEqual({});
  });
});

describe('leases', () => {
  it('are forgotten a day after their ends, however many there are', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-leases-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const database = await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
    onTestFinished(() => database.destroy());
    const leases = new SqlFlightLeases(database);
    const ends = [...Array.from({ length: 1_100 }, () => Date.now() - 90_000_000), Date.now() - 80_000_000];
    const rows = ends.map((until, index) => ({ name: `${index}`, owner: 'other', generation: 1, until }));
    for (const part of slices(rows, 100)) await database.insertInto('flights').values(part).execute();
    await leases.removeOld();
    expect(await database.selectFrom('flights').select('name').execute()).toEqual([{ name: '1100' }]);
  });
});
