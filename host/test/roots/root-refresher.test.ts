import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Root } from '@entrepot/core';
import type { RepositoryRoots } from '@entrepot/core/engine';
import { Gate, ManualClock } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SqlLeases } from '../../src/drivers/sql/leases.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { RootRefresher } from '../../src/roots/root-refresher.js';

/** Roots that are due when their time has come, and an hour after each refresh. */
class DueRoots implements RepositoryRoots {
  readonly refreshed: string[] = [];
  readonly held = new Map<string, Gate>();
  readonly broken = new Set<string>();
  readonly #due = new Map<string, number>();
  readonly #clock: ManualClock;

  constructor(clock: ManualClock, due: Readonly<Record<string, number>>) {
    this.#clock = clock;
    for (const [name, minutes] of Object.entries(due)) this.#due.set(name, clock.now() + minutes * 60_000);
  }

  async list(): Promise<readonly Root[]> {
    return Array.from(this.#due, ([name, dueAt]) => ({ name, state: 'active', dueAt }));
  }

  async refresh(name: string): Promise<Root> {
    this.refreshed.push(name);
    await this.held.get(name)?.pass();
    this.#due.set(name, this.#clock.now() + 3_600_000);
    if (this.broken.has(name)) throw new Error(`${name} is broken`);
    return { name, state: 'active' };
  }

  async heldKeys(): Promise<ReadonlySet<string>> {
    return new Set();
  }
}

async function open() {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-roots-'));
  const database = await openSqlite({ path: join(folder, 'entrepot.db'), durability: 'relaxed' });
  onTestFinished(async () => {
    await database.destroy();
    await rm(folder, { recursive: true });
  });
  const clock = new ManualClock();
  /** The refresher of one process. */
  const refresher = (repositories: Readonly<Record<string, RepositoryRoots>>): RootRefresher =>
    new RootRefresher({
      repositories: new Map(Object.entries(repositories)),
      leases: new SqlLeases(database, clock),
      clock,
      logger: silentLogger,
    });
  return { clock, refresher };
}

describe('roots that are due', () => {
  it('are refreshed, the one first that has been so for longest, and no other', async () => {
    const { clock, refresher } = await open();
    const roots = new DueRoots(clock, { late: -1, later: -9, future: 5 });
    const other = new DueRoots(clock, { broken: -1, next: -1 });
    other.broken.add('broken');
    const refreshing = refresher({ roots, other });
    await refreshing.refreshDue();
    expect([roots.refreshed, other.refreshed.sort()]).toEqual([
      ['later', 'late'],
      ['broken', 'next'],
    ]);
    await refreshing.refreshDue();
    expect(roots.refreshed.length).toBe(2);
    clock.advance(6 * 60_000);
    await refreshing.refreshDue();
    expect(roots.refreshed.at(-1)).toBe('future');
  });

  it('are refreshed by one process at a time, four at once', async () => {
    const { clock, refresher } = await open();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const roots = new DueRoots(clock, Object.fromEntries(names.map((name) => [name, -1])));
    const gate = new Gate();
    for (const name of names) roots.held.set(name, gate);
    const [one, two] = [refresher({ roots }), refresher({ roots })];
    const first = one.refreshDue();
    while (roots.refreshed.length < 4) await new Promise(setImmediate);
    await two.refreshDue();
    // Nor does it begin again itself, while it is at it.
    void one.refreshDue();
    expect(roots.refreshed).toEqual(['a', 'b', 'c', 'd']);
    gate.open();
    await first;
    await one.ended();
    expect(roots.refreshed).toEqual(names);
    await two.refreshDue();
    expect(roots.refreshed).toEqual(names);
  });

  it('are left when the server stops', async () => {
    const { clock, refresher } = await open();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const roots = new DueRoots(clock, Object.fromEntries(names.map((name) => [name, -1])));
    const gate = new Gate();
    for (const name of names) roots.held.set(name, gate);
    const refreshing = refresher({ roots });
    const running = refreshing.refreshDue();
    while (roots.refreshed.length < 4) await new Promise(setImmediate);
    refreshing.stop();
    gate.open();
    await running;
    expect(roots.refreshed.length).toBe(4);
  });
});

describe('a root that somebody asks for', () => {
  it('is waited for as long as there is patience', async () => {
    const { clock, refresher } = await open();
    const roots = new DueRoots(clock, { a: 5 });
    const refreshing = refresher({ roots });
    expect(await refreshing.refresh('roots', 'a', 1000)).toEqual({ repository: 'roots', name: 'a', state: 'active' });
    const gate = new Gate();
    roots.held.set('a', gate);
    expect(await refreshing.refresh('roots', 'a', 1)).toBeUndefined();
    gate.open();
  });

  it('has a repository that has roots', async () => {
    const { clock, refresher } = await open();
    const refreshing = refresher({ roots: new DueRoots(clock, {}) });
    await expect(refreshing.list('root')).rejects.toThrow('No repository root has roots; did you mean roots?');
    await expect(refresher({}).refresh('other', 'a', 1)).rejects.toThrow('No repository other has roots; found none');
  });
});
