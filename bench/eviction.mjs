/**
 * Replays a trace of requests against caches of several sizes: the hits of FIFO, LRU and SIEVE, and of SIEVE as the server does it. Prints
 * tables in Markdown. Each figure is the mean of caches of 90 to 110 % of the size.
 *
 * node scripts/node.mjs bench/eviction.mjs [trace.gz | --synthetic]
 *
 * Without a trace: the recorded one in `bench/traces`. `bench/record-trace.mjs` makes one of the access log of a server.
 */
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { SMALL } from './eviction/caches.mjs';
import { contents, POLICIES, replay, replayAround, serverCache } from './eviction/replay.mjs';
import { syntheticTrace } from './eviction/synthetic.mjs';
import { readTrace } from './eviction/trace.mjs';
import { table } from './lib/table.mjs';

const RECORDED = fileURLToPath(new URL('traces/fleet.gz', import.meta.url));
/** Sizes of the cache, as shares of the bytes of all objects of the trace. */
const SIZES = [0.02, 0.05, 0.1, 0.2, 0.5];
const SHARES = [0, 0.05, 0.1, 0.2, 0.4];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { synthetic: { type: 'boolean', default: false } },
});
if (positionals.length > (flags.synthetic ? 0 : 1)) {
  process.stderr.write('usage: node bench/eviction.mjs [trace.gz | --synthetic]\n');
  process.exit(2);
}

const trace = flags.synthetic ? syntheticTrace() : await readTrace(positionals[0] ?? RECORDED);
const bytes = sum(trace.objects.map(({ size }) => size));
const heads = SIZES.map((size) => `${size * 100} %, ${amount(size * bytes)}`);

const policies = replayed(Object.entries(POLICIES));
const shares = replayed(SHARES.map((share) => [`${share * 100} %`, (bound) => serverCache(bound, share)]));
const parts = [
  ['What was asked for', contentsTable()],
  ['Hits: % of requests / % of bytes', hitsTable(policies, ['requests', 'bytes'])],
  [
    'SIEVE in batches with other shares for small objects: hits, % of requests / % of bytes',
    hitsTable(shares, ['requests', 'bytes']),
  ],
  ['The same: hits, % of requests for small objects / % of those for others', hitsTable(shares, ['small', 'large'])],
];
process.stdout.write(parts.map(([title, body]) => `### ${title}\n\n${body}\n`).join('\n'));

function contentsTable() {
  const rows = contents(trace);
  const total = { kind: 'all' };
  for (const name of ['requests', 'objects', 'once', 'bytes', 'smallBytes']) {
    total[name] = sum(rows.map((row) => row[name]));
  }
  const head = [
    'class',
    'requests',
    'objects',
    'asked for once',
    'bytes',
    `of them in objects below ${SMALL / 1024} KiB`,
  ];
  const cells = [...rows, total].map((row) => [
    row.kind,
    ...[row.requests, row.objects, row.once].map((count) => count.toLocaleString('en-US')),
    amount(row.bytes),
    `${((100 * row.smallBytes) / row.bytes).toFixed(0)} %`,
  ]);
  return table(head, cells);
}

/** The hits of each way to evict: in caches of all sizes, and without a bound. */
function replayed(ways) {
  return ways.map(([name, make]) => ({
    name,
    found: [...SIZES.map((size) => replayAround(trace, make, size * bytes)), replay(trace, make(Infinity))],
  }));
}

function hitsTable(rows, fields) {
  const cells = rows.map(({ name, found }) => [
    name,
    ...found.map((one) => percents(fields.map((field) => one[field]))),
  ]);
  return table(['', ...heads, 'no bound'], cells);
}

function percents(values) {
  return values.map((value) => (100 * value).toFixed(1)).join(' / ');
}

function amount(count) {
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`;
}

function sum(numbers) {
  return numbers.reduce((one, other) => one + other, 0);
}
