import { rm } from 'node:fs/promises';
import { scannerSuite } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import { DAY, FakeTrivy, NOW, npm } from './fixtures.js';

scannerSuite(
  { describe, it },
  async () => {
    const fake = await FakeTrivy.create();
    fake.advise('pkg:npm/vulnerable@1.0.0', 'CVE-2026-0001');
    const scanner = await fake.scanner();
    return {
      scanner,
      clean: npm('clean'),
      vulnerable: npm('vulnerable'),
      findingId: 'CVE-2026-0001',
      breakDown: () => rm(fake.database, { recursive: true }),
      async change() {
        await fake.writeDatabase(NOW - DAY / 2, NOW + DAY);
        await scanner.update?.(new AbortController().signal);
      },
      close: () => fake.remove(),
    };
  },
  { outage: true, change: true },
);
