// Measures the search for names in SQLite: 1,000,000 entries of 200,000 names, or `--entries N --names N`, in a folder of its own on `/dev/shm`
// where there is one. Needs a build. Prints the time of a page of 50 names, as clients see it and as the processor does, with and without
// filters. Exits with 1 where the bound is missed; on a busy machine the processor's time says more.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { SqlPackageSearch } from '../host/dist/drivers/sql/package-search.js';
import { openSqlite } from '../host/dist/drivers/sql/sqlite.js';

/** Milliseconds, of 95 in 100 pages. */
const BOUND = 50;
const TYPES = ['npm', 'pypi', 'golang', 'oci', 'helm', 'cargo', 'maven', 'deb'];
const WORDS =
  'react vue core util lib parse json stream http node type test load config plugin web style router state async data base cloud kube log trace cli tool build pack lint date math hash zip yaml xml queue cache redis graph api auth token form table color map'.split(
    ' ',
  );

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '1000000' }, names: { type: 'string', default: '200000' } },
});
const [entries, amount] = [Number(values.entries), Number(values.names)];
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'entrepot-search-'));
const path = join(folder, 'entrepot.db');
try {
  await (await openSqlite({ path, durability: 'relaxed' })).destroy();
  const names = Array.from({ length: amount }, (_, at) => nameOf(at));
  fill(names);
  await measure(names);
} finally {
  rmSync(folder, { recursive: true });
}

/** @param {readonly string[]} names */
function fill(names) {
  const opened = new DatabaseSync(path);
  opened.exec('pragma synchronous = off');
  opened.exec('begin');
  opened.exec(`insert into blobs (digest, size, state, seq, visited, since) values ('sha256:a', 10, 'live', 1, 0, 0)`);
  const put = opened.prepare(
    `insert into entries (repository, key, digest, size, media_type, headers, fetched_at, checked_at, integrity, ecosystem, name, version)
      values (?, ?, 'sha256:a', 10, 'application/octet-stream', '{}', 1, 1, '[]', ?, ?, ?)`,
  );
  const started = process.cpuUsage();
  for (let at = 0; at < entries; at += 1) {
    const name = /** @type {string} */ (names[at % amount]);
    const type = /** @type {string} */ (TYPES[(at % amount) % TYPES.length]);
    const version = `1.${Math.floor(at / amount)}.0`;
    put.run(type, `${name}/-/${version}`, type, name, version);
  }
  opened.exec('commit');
  opened.close();
  console.log(
    `${entries} entries of ${amount} names: ${((millisecondsSince(started) * 1000) / entries).toFixed(1)} µs each`,
  );
}

/** @param {readonly string[]} names */
async function measure(names) {
  const database = await openSqlite({ path, durability: 'relaxed' });
  const search = new SqlPackageSearch(database);
  const parts = names
    .filter((_, at) => at % Math.ceil(amount / 200) === 0)
    .map((name, at) => name.slice(at % 4, (at % 4) + 3 + (at % 6)));
  await search.names({ text: 'first', limit: 50 });
  for (const filter of [{}, { ecosystem: 'npm' }, { repository: 'npm' }]) {
    const seen = [];
    const spent = [];
    for (const text of [...WORDS, ...parts, 'a', 're']) {
      const [started, cpu] = [performance.now(), process.cpuUsage()];
      await search.uses(await search.names({ text, limit: 50, ...filter }));
      seen.push(performance.now() - started);
      spent.push(millisecondsSince(cpu));
    }
    const most = at95(seen);
    const what = JSON.stringify(filter).padEnd(24);
    console.log(`${what} p95 ${most.toFixed(1)} ms, of the processor ${at95(spent).toFixed(1)} ms; wanted ≤ ${BOUND}`);
    if (most > BOUND) process.exitCode = 1;
  }
  await database.destroy();
}

/** @param {number} at */
function nameOf(at) {
  const word = (/** @type {number} */ by) => WORDS[Math.floor(at / by) % WORDS.length];
  const scope = at % 4 === 0 ? `@${word(7)}${at % 900}/` : '';
  return `${scope}${word(1)}-${word(WORDS.length)}-${at.toString(36)}`;
}

/** @param {NodeJS.CpuUsage} before */
function millisecondsSince(before) {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** @param {number[]} times */
function at95(times) {
  return /** @type {number} */ (times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.95)]);
}
