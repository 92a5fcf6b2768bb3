import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EntrepotError } from '@entrepot/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AdmittingIndex } from './admitting-index.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';
import { openFile } from '../../../src/drivers/sql/sqlite-file.js';
import { DEADLINES, stored, storedWithin } from '../../../src/drivers/sql/stored.js';

afterEach(() => vi.useRealTimers());

describe('a query', () => {
  it('has a deadline', async () => {
    vi.useFakeTimers();
    const waiting = storedWithin('read', 'find an entry', () => new Promise(() => {}));
    const refused = expect(waiting).rejects.toMatchObject({ kind: 'storage', code: 'STORAGE_TIMEOUT', status: 503 });
    await vi.advanceTimersByTimeAsync(DEADLINES.read);
    await refused;
  });

  it('that fails is one to try again, whatever the database says', async () => {
    const gone = Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNREFUSED' });
    await expect(stored('find an entry', () => Promise.reject(gone))).rejects.toMatchObject({
      kind: 'storage',
      code: 'STORAGE_UNAVAILABLE',
      status: 503,
      retryAfter: 5,
      cause: gone,
    });
    const full = Object.assign(new Error('no room'), { code: 'ENOSPC' });
    await expect(stored('put an entry', () => Promise.reject(full))).rejects.toMatchObject({ status: 507 });
    const ours = new EntrepotError('conflict', 'another one was first');
    await expect(stored('put an entry', () => Promise.reject(ours))).rejects.toBe(ours);
  });

  it('reads while another process holds the lock that a write before it waits for', async () => {
    const root = await mkdtemp(join(tmpdir(), 'entrepot-lock-'));
    const path = join(root, 'entrepot.db');
    const database = await openSqlite({ path, durability: 'relaxed' });
    const index = new AdmittingIndex(database);
    const other = openFile(path, {});
    try {
      other.exec('begin immediate');
      const order: string[] = [];
      const change = { repository: 'r', expect: [], put: [], remove: [] };
      const writing = [index.change(change), index.remove('r', 'a')].map((work) =>
        work.then(() => order.push('written')),
      );
      await index.find('r', 'a').then(() => order.push('read'));
      other.exec('commit');
      await Promise.all(writing);
      expect(order).toEqual(['read', 'written', 'written']);
    } finally {
      other.close();
      await index.dispose();
      await rm(root, { recursive: true, force: true });
    }
  });
});
