import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryIndexSuite } from '@entrepot/core/testing';
import { describe, it } from 'vitest';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';
import { entryIndexFixture } from './entry-index-fixture.js';

async function fixture() {
  const root = await mkdtemp(join(tmpdir(), 'entrepot-sql-'));
  return entryIndexFixture(
    () => openSqlite({ path: join(root, 'entrepot.db'), durability: 'relaxed' }),
    () => rm(root, { recursive: true, force: true }),
  );
}

entryIndexSuite({ describe, it }, fixture, { replicas: true, outage: true });
