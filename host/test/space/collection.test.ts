import { EntrepotError, silentLogger } from '@entrepot/core';
import { Gate, ManualClock } from '@entrepot/core/testing';
import { expect, it } from 'vitest';
import { Collection } from '../../src/space/collection.js';
import type { Collected, CollectOptions } from '../../src/space/collector.js';
import { openSpace } from './support.js';

const REPORT: Collected = {
  looked: 7,
  condemned: { blobs: 1, bytes: 10 },
  rescued: 0,
  deleted: { blobs: 2, bytes: 20 },
  found: 0,
  unfinished: 0,
};

async function open(collect: (options: Partial<CollectOptions>) => Promise<Collected>) {
  const { space } = await openSpace();
  return new Collection({ leases: space.leases, clock: new ManualClock(5), logger: silentLogger, collect });
}

it('tells how far a run is that was asked for, and how it ended', async () => {
  const gate = new Gate();
  const collection = await open(async ({ progress, dryRun }) => {
    progress?.({ ...REPORT, looked: dryRun === true ? 3 : 0 });
    await gate.pass();
    return REPORT;
  });
  expect(collection.status).toBeUndefined();
  collection.begin({ dryRun: true, batchSize: 10 });
  await gate.reached;
  expect(collection.status).toMatchObject({ state: 'running', dryRun: true, looked: 3 });
  expect(() => collection.begin({ batchSize: 10 })).toThrow('a collection is running already');
  gate.open();
  expect(await collection.finished()).toEqual({ ...REPORT, state: 'done', dryRun: true, startedAt: 5, endedAt: 5 });
});

it('says why a run failed, and ends one that is cancelled', async () => {
  const gate = new Gate();
  const collection = await open(async ({ signal, force }) => {
    if (force === true) throw new EntrepotError('storage', 'the disk is gone');
    await gate.pass();
    signal?.throwIfAborted();
    return REPORT;
  });
  collection.begin({ force: true, batchSize: 10 });
  expect(await collection.finished()).toMatchObject({ state: 'failed', error: 'the disk is gone' });
  expect(await collection.cancel()).toBeUndefined();
  collection.begin({ batchSize: 10 });
  await gate.reached;
  const cancelled = collection.cancel();
  gate.open();
  expect(await cancelled).toMatchObject({ state: 'cancelled' });
  await collection.dispose();
});

it('leaves the background to one process', async () => {
  const { space } = await openSpace();
  let runs = 0;
  const gate = new Gate();
  const collect = async (): Promise<Collected> => {
    runs += 1;
    await gate.pass();
    return REPORT;
  };
  const services = { clock: new ManualClock(), logger: silentLogger, collect };
  const { space: other } = await openSpace();
  const one = new Collection({ ...services, leases: space.leases });
  const same = new Collection({ ...services, leases: space.leases });
  const elsewhere = new Collection({ ...services, leases: other.leases });
  const running = one.tick();
  await gate.reached;
  await same.tick();
  expect(runs).toBe(1);
  gate.open();
  await running;
  await elsewhere.tick();
  expect(runs).toBe(2);
});
