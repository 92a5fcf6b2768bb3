// Puts pairs of entries into a database that another process fills at the same time, and prints who won each pair.
// Arguments: the file of the database, the name of this process, the number of pairs.
import { createHash } from 'node:crypto';
import type { Entry } from '@entrepot/core';
import { AdmittingIndex } from './admitting-index.js';
import { openSqlite } from '../../../src/drivers/sql/sqlite.js';

const [path = '', name = '', pairs = '0'] = process.argv.slice(2);

function entry(key: string): Entry {
  return {
    repository: 'shared',
    key,
    digest: `sha256:${createHash('sha256').update(`${name} ${key}`).digest('hex')}`,
    size: 1,
    mediaType: 'text/plain',
    headers: {},
    fetchedAt: 1,
    checkedAt: 1,
    integrity: [],
    attributes: { by: name },
  };
}

const index = new AdmittingIndex(await openSqlite({ path, durability: 'strict' }));
const winners: unknown[] = [];
for (let pair = 0; pair < Number(pairs); pair += 1) {
  const inForce = await index.putIfAbsent([entry(`${pair}/left`), entry(`${pair}/right`)]);
  winners.push(inForce.map(({ attributes }) => attributes?.['by']));
  await index.recordAccess([{ repository: 'shared', key: `${pair}/left`, at: pair }]);
}
await index.dispose();
process.stdout.write(JSON.stringify(winners));
