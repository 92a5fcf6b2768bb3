import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { scannerSuite } from '@entrepot/core/testing';
import { live, record, scannerOf, writeDumps } from './fixtures.js';

const subjects = {
  clean: { coordinates: { ecosystem: 'npm', name: 'good', version: '1.0.0' } },
  vulnerable: { coordinates: { ecosystem: 'npm', name: 'bad', version: '1.0.0' } },
  findingId: 'CVE-2026-1',
};

scannerSuite(
  { describe, it },
  async () => {
    const bad = record('GHSA-aaaa-bbbb-cccc', 'npm', 'bad', [{ introduced: '0' }], { aliases: ['CVE-2026-1'] });
    const { scanner, from, directory } = await scannerOf({ npm: [bad] });
    return {
      ...subjects,
      scanner,
      async change() {
        writeDumps(from, { npm: [bad, record('X-1', 'npm', 'other', [{ introduced: '0' }])] });
        await scanner.update?.(live());
      },
      async breakDown() {
        rmSync(join(directory), { recursive: true, force: true });
        await scanner.dispose?.();
      },
    };
  },
  { change: true, outage: true, lookup: true, batch: true },
);
