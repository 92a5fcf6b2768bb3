import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ManualClock, scannerSuite } from '@entrepot/core/testing';
import plugin from '../dist/index.js';

const hammer = (version) => ({ coordinates: { ecosystem: 'generic', name: 'hammer', version } });

const database = {
  ecosystems: ['generic'],
  date: '2026-01-01T00:00:00Z',
  advisories: [
    {
      id: 'ACME-2026-1',
      aliases: ['CVE-2026-0001'],
      ecosystem: 'generic',
      name: 'hammer',
      versions: ['1.0.0'],
      severity: 'high',
      fixedIn: ['1.1.0'],
    },
  ],
};

async function open() {
  const folder = await mkdtemp(join(tmpdir(), 'acme-'));
  const path = join(folder, 'advisories.json');
  const put = (content) => writeFile(path, content);
  await put(JSON.stringify(database));
  const scanner = await plugin.create({ options: { database: path }, services: { clock: new ManualClock() } });
  return { scanner, put, close: () => rm(folder, { recursive: true, force: true }) };
}

scannerSuite(
  { describe, it },
  async () => {
    const { scanner, put, close } = await open();
    return {
      scanner,
      clean: hammer('1.1.0'),
      vulnerable: hammer('1.0.0'),
      findingId: 'ACME-2026-1',
      async change() {
        await put(JSON.stringify({ ...database, date: '2026-02-01T00:00:00Z' }));
        await scanner.update();
      },
      close,
    };
  },
  { lookup: true, change: true },
);

describe('the database', () => {
  it('stays in use when a newer one cannot be read', async () => {
    const { scanner, put, close } = await open();
    try {
      await put('{');
      await assert.rejects(scanner.update(), { kind: 'scan-unavailable' });
      assert.equal(scanner.lookup(hammer('1.0.0').coordinates).length, 1);
    } finally {
      await close();
    }
  });

  it('is not taken for an empty one when it is missing', async () => {
    const options = { database: join(tmpdir(), 'no-such-file.json') };
    const scanner = await plugin.create({ options, services: { clock: new ManualClock() } });
    await assert.rejects(scanner.scan(hammer('1.0.0'), new AbortController().signal), { kind: 'scan-unavailable' });
    await assert.rejects(scanner.check(), { kind: 'scan-unavailable' });
  });
});
