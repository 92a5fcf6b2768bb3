import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { ManualClock } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AuditLog, type AuditSettings } from '../../src/audit/audit-log.js';
import { FileSink } from '../../src/audit/file-sink.js';
import { type AuditRecord, SqlAuditStore } from '../../src/drivers/sql/audit-store.js';
import { DATABASES, openDatabase } from '../scanning/support.js';

const MINUTE = 60_000;
const DAY = 86_400_000;

describe.each(DATABASES)('the audit log over %s', (kind) => {
  async function open(settings: Partial<AuditSettings> = {}) {
    const { database } = await openDatabase(kind);
    const clock = new ManualClock();
    const make = async () => {
      const log = new AuditLog({ store: new SqlAuditStore(database), clock, logger: silentLogger });
      await log.configure({ keepChanges: 365 * DAY, keepDenials: 30 * DAY, maxRecords: 1_000, sinks: [], ...settings });
      return log;
    };
    const log = await make();
    const all = async (query: Partial<Parameters<AuditLog['list']>[0]> = {}) =>
      await log.list({ limit: 1_000, ...query });
    return { database, clock, make, log, all };
  }

  const denial = { event: 'access-forbidden', actor: 'ann', address: '10.0.0.7', repository: 'npm', subject: '/npm/a' };

  it('has what was changed, the newest first, in pages and by filters', async () => {
    const { log, clock, all } = await open();
    const whole = {
      event: 'createKey',
      actor: 'ann',
      address: '::1',
      subject: 'ci',
      detail: { asked: { name: 'ci' } },
    };
    log.changed(whole);
    for (const repository of ['npm', 'pypi', 'npm'])
      log.changed({ event: 'hosted-published', actor: 'key:ci', repository });
    const at = clock.now();
    const records = await all();
    expect(records.map(({ event }) => event)).toEqual([
      ...Array.from({ length: 3 }, () => 'hosted-published'),
      'createKey',
    ]);
    expect(records.at(-1)).toEqual({ ...whole, id: expect.any(String), kind: 'change', at, lastAt: at, times: 1 });
    const first = await all({ limit: 2 });
    const second = await all({ limit: 2, after: (first.at(-1) as AuditRecord).id });
    expect([...first, ...second]).toEqual(records);
    expect(await all({ repository: 'npm' })).toHaveLength(2);
    expect(await all({ actor: 'ann' })).toHaveLength(1);
    expect(await all({ event: 'createKey', address: '::1', kind: 'change' })).toHaveLength(1);
    expect(await all({ kind: 'denial' })).toEqual([]);
    clock.advance(MINUTE);
    log.changed({ event: 'later' });
    expect((await all({ since: at + 1 })).map(({ event }) => event)).toEqual(['later']);
    expect(await all({ until: at + 1 })).toHaveLength(4);
  });

  it('has equal denials of a minute once, from all processes, with their number', async () => {
    const { log, clock, make, all } = await open();
    const other = await make();
    for (let times = 0; times < 5; times += 1) log.denied(denial);
    await log.flush();
    other.denied(denial);
    await other.flush();
    clock.advance(10_000);
    log.denied(denial);
    log.denied({ ...denial, subject: '/npm/b' });
    expect((await all()).map(({ subject, times }) => [subject, times]).sort()).toEqual([
      ['/npm/a', 7],
      ['/npm/b', 1],
    ]);
    expect((await all({ kind: 'denial' })).find(({ times }) => times === 7)).toMatchObject({ lastAt: clock.now() });
    await log.flush();
    expect((await all()).find(({ times }) => times === 7)).toBeDefined();
    clock.advance(MINUTE);
    log.denied(denial);
    expect((await all()).map(({ times }) => times)).toEqual([1, ...(await all()).slice(1).map(({ times }) => times)]);
    expect(await all()).toHaveLength(3);
  });

  it('takes 1,001 records of a flood of denials that differ, and all changes beside it', async () => {
    const { log, all } = await open({ maxRecords: 10_000 });
    for (let index = 0; index < 50_000; index += 1) {
      log.denied({ ...denial, address: `10.0.${index >> 8}.${index & 255}` });
      if (index % 10_000 === 0) log.changed({ event: 'addPin', subject: String(index) });
    }
    await log.flush();
    const first = await all({ kind: 'denial' });
    const rest = await all({ kind: 'denial', after: (first.at(-1) as AuditRecord).id });
    const denials = [...first, ...rest];
    expect(denials).toHaveLength(1_001);
    expect(denials.reduce((sum, { times }) => sum + times, 0)).toBe(50_000);
    expect(denials.find(({ event }) => event === 'denials-others')?.times).toBe(49_000);
    expect(await all({ kind: 'change' })).toHaveLength(5);
  });

  it('forgets by age and by number, changes and denials apart', async () => {
    const { log, clock, all } = await open({ keepDenials: DAY, maxRecords: 3 });
    log.denied(denial);
    log.changed({ event: 'old' });
    await log.flush();
    clock.advance(2 * DAY);
    for (let index = 0; index < 5; index += 1) log.changed({ event: `new-${index}` });
    await log.flush();
    expect((await all()).map(({ event }) => event)).toEqual(['new-4', 'new-3', 'new-2']);
  });

  it('keeps what it cannot write, within bounds, and never fails who notes', async () => {
    const { database } = await openDatabase(kind);
    const store = new SqlAuditStore(database);
    let isDown = true;
    const failing = new (class extends SqlAuditStore {
      override async record(records: readonly AuditRecord[]) {
        if (isDown) throw new Error('down');
        await super.record(records);
      }
    })(database);
    const log = new AuditLog({ store: failing, clock: new ManualClock(), logger: silentLogger });
    await log.configure({ keepChanges: DAY, keepDenials: DAY, maxRecords: 1_000_000, sinks: [] });
    for (let index = 0; index < 10_500; index += 1) log.changed({ event: 'many' });
    log.denied(denial);
    log.denied(denial);
    await log.flush();
    expect(await store.list({ limit: 1 })).toEqual([]);
    isDown = false;
    await log.flush();
    expect((await store.list({ kind: 'denial', limit: 10 })).map(({ times }) => times)).toEqual([2]);
    let found = 0;
    for (let after: string | undefined; ;) {
      const page = await store.list({ kind: 'change', limit: 5_000, after });
      found += page.length;
      if (page.length < 5_000) break;
      after = page.at(-1)?.id;
    }
    expect(found).toBe(10_000);
  });

  it('cuts what is long, and holds no secret and nothing that a database refuses', async () => {
    const { log, all } = await open();
    log.changed({
      event: 'createKey',
      subject: `a\0b\uD800${'x'.repeat(1_000)}`,
      detail: { answer: { secret: 'entrepot_x', note: 'a\0\uD800' } },
    });
    log.changed({ event: 'long', detail: { asked: 'x'.repeat(10_000) } });
    const [long, made] = await all();
    expect(made?.subject).toMatch(/^a\uFFFDb\uFFFDx+…$/);
    expect(made?.subject).toHaveLength(500);
    expect(JSON.stringify(made)).not.toContain('entrepot_x');
    expect(made?.detail).toMatchObject({ answer: { note: expect.stringMatching(/^a/) } });
    expect(long?.detail?.['cut']).toHaveLength(4_000);
  });

  it('has what several processes do at the same time once', async () => {
    const { log, make, all } = await open();
    const other = await make();
    for (const one of [log, other]) {
      one.changedByAll({ event: 'configuration-applied', detail: { changes: [] } });
      await one.flush();
    }
    expect((await all()).map(({ event, times }) => [event, times])).toEqual([['configuration-applied', 1]]);
  });
});

describe('the file of the audit log', () => {
  it('has a JSON object a line, and may be moved away', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-audit-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'audit.jsonl');
    const record = (id: string): AuditRecord => ({ id, kind: 'change', event: 'e', at: 1, lastAt: 1, times: 1 });
    const one = new FileSink(file, silentLogger);
    one.write([record('1'), record('2')]);
    await one.dispose();
    renameSync(file, `${file}.1`);
    one.write([record('3')]);
    await one.dispose();
    const ids = (name: string) =>
      readFileSync(name, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as AuditRecord).id);
    expect([ids(`${file}.1`), ids(file)]).toEqual([['1', '2'], ['3']]);
  });

  it('gets later what could not be written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'entrepot-audit-'));
    const file = join(folder, 'audit.jsonl');
    rmSync(folder, { recursive: true });
    const sink = new FileSink(file, silentLogger);
    sink.write([{ id: '1', kind: 'change', event: 'e', at: 1, lastAt: 1, times: 1 }]);
    await sink.dispose();
    const { mkdirSync } = await import('node:fs');
    mkdirSync(folder);
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    await sink.dispose();
    expect(readFileSync(file, 'utf8')).toContain('"id":"1"');
  });
});
