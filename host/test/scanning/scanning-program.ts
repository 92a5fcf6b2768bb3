// Scans what is asked for in a database that other processes work on too, and says the name of each subject that it begins.
// Argument: the file of the database, or its URL. Its clock runs thirty times as fast, so that a lease ends soon after its holder.
import { silentLogger, type Clock, type Scanner } from '@entrepot/core';
import { MemoryBlobStore } from '@entrepot/core/testing';
import { SqlScanStore } from '../../src/drivers/sql/scan-store.js';
import { openPostgres } from '../../src/drivers/sql/postgres.js';
import { openSqlite } from '../../src/drivers/sql/sqlite.js';
import { ScanWorker } from '../../src/scanning/scan-worker.js';

const [place = ''] = process.argv.slice(2);
const clock: Clock = { now: () => Date.now() * 30, monotonic: () => performance.now() * 30 };

const scanner: Scanner = {
  subjects: { ecosystems: ['npm'] },
  needs: 'coordinates',
  async scan({ coordinates }) {
    process.send?.(coordinates.name);
    await new Promise((resolve) => setTimeout(resolve, 2));
    return { scanner: 'counting', revision: '1', scannedAt: clock.now(), coverage: 'full', findings: [] };
  },
  revision: () => '1',
  check: async () => {},
};

const database = place.startsWith('postgres:')
  ? await openPostgres({ url: place, maxConnections: 4, logger: silentLogger })
  : await openSqlite({ path: place, durability: 'relaxed' });
const worker = new ScanWorker({
  scanners: [{ id: 'counting', scanner, where: 'server', timeout: 60_000, updateInterval: 3_600_000 }],
  store: new SqlScanStore(database),
  blobs: new MemoryBlobStore(),
  clock,
  logger: silentLogger,
  pollInterval: 50,
});
worker.start();
