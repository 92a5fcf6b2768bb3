/**
 * Makes a trace for `bench/eviction.mjs` of the access log of a server: for each request to something that is kept the number of the
 * object, its class and its size. There are no names, paths or hosts in it, and sizes have two digits.
 *
 * node scripts/node.mjs bench/record-trace.mjs --out trace.gz [--database entrepot.db] [--repositories npm,pypi] access.log...
 *
 * The log is that of the default configuration (`log.format: json`), in the order of time. Documents are sent in another form than they
 * are kept; `--database` takes the sizes of what is kept from the embedded database, of a server that has stopped or a copy of it.
 * `--repositories` leaves out those that are never evicted, such as hosted ones.
 */
import { access } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { accessesOf, keysOf, linesOf, recordOf } from './eviction/access-log.mjs';
import { traceOf, writeTrace } from './eviction/trace.mjs';

const PAGE = 10_000;

const { values: flags, positionals: logs } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' }, database: { type: 'string' }, repositories: { type: 'string' } },
});
if (flags.out === undefined || logs.length === 0) {
  process.stderr.write(
    'usage: node bench/record-trace.mjs --out trace.gz [--database entrepot.db] [--repositories npm,pypi] access.log...\n',
  );
  process.exit(2);
}

const only = flags.repositories?.split(',');
const records = [];
for await (const line of linesOf(logs)) {
  const record = recordOf(line);
  if (record !== undefined && (only?.includes(record.repository) ?? true)) records.push(record);
}
const repositories = [...new Set(records.map(({ repository }) => repository))];
const entries = flags.database === undefined ? new Map() : await entriesOf(flags.database, repositories);
const accesses = accessesOf(records, (record) => {
  const known = entries.get(record.repository);
  return known?.get(keysOf(record).find((key) => known.has(key)));
});
const trace = traceOf(accesses);
const size = await writeTrace(flags.out, trace);
process.stdout.write(
  `${flags.out}: ${trace.requests.length} requests for ${trace.objects.length} objects, ${size} bytes; ` +
    `${records.length - accesses.length} requests of unknown size left out\n`,
);

/** Digest and size of what is kept, by repository and key. */
async function entriesOf(path, names) {
  await access(path);
  const { openSqlite } = await import('../host/dist/drivers/sql/sqlite.js');
  const { SqlEntryIndex } = await import('../host/dist/drivers/sql/entry-index.js');
  const database = await openSqlite({ path, durability: 'relaxed' });
  try {
    const index = new SqlEntryIndex(database);
    const found = new Map();
    for (const name of names) found.set(name, await entriesIn(index, name));
    return found;
  } finally {
    await database.destroy();
  }
}

async function entriesIn(index, repository) {
  const found = new Map();
  for (let after; ;) {
    const page = await index.list(repository, { prefix: '', after, limit: PAGE });
    for (const { key, digest, size } of page) found.set(key, { digest, size });
    after = page.at(-1)?.key;
    if (page.length < PAGE) return found;
  }
}
