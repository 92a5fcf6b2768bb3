#!/usr/bin/env node
/**
 * The OSV scanner by itself: import of a dump, look-ups, a small update. On generated records, without any network.
 *
 *   node bench/osv/run.mjs [records]
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateRawSync } from 'node:zlib';
import { parseOptions, silentLogger, systemClock } from '@entrepot/core';
import { NodeTransport } from '@entrepot/core/testing';
import plugin from '@entrepot/plugin-scanner-osv';

const [count = '250000', target] = process.argv.slice(2);
const RECORDS = Number(count);
const CHANGED = 100;
const LOOKUPS = 200_000;
const DAY = Date.UTC(2026, 0, 1);

if (target !== undefined) {
  // A process of its own, so that the memory of the one that is measured is its own.
  writeDump(target, RECORDS);
  process.exit();
}

const folder = mkdtempSync(join(tmpdir(), 'entrepot-bench-osv-'));
let changes = [];
const server = createServer((request, reply) => serve(request, reply)).listen(0, '127.0.0.1');
const transport = new NodeTransport({ headTimeout: 60_000, idleTimeout: 60_000 });
let scanner;
try {
  await new Promise((resolve) => server.once('listening', resolve));
  mkdirSync(join(folder, 'npm'));
  execFileSync(process.execPath, [fileURLToPath(import.meta.url), count, join(folder, 'npm', 'all.zip')]);
  const size = statSync(join(folder, 'npm', 'all.zip')).size;
  const { options } = await parseOptions(plugin.options, {
    from: `http://127.0.0.1:${server.address().port}/`,
    ecosystems: ['npm'],
    directory: join(folder, 'database'),
  });
  scanner = await plugin.create({ services: { logger: silentLogger, clock: systemClock, transport }, options });

  const before = process.memoryUsage().rss;
  const { seconds, peak } = await measured(() => scanner.update(new AbortController().signal));
  print(
    `import of ${RECORDS} records (${mb(size)} MB zip)`,
    `${seconds.toFixed(1)} s, RSS at most ${mb(peak)} MB (before: ${mb(before)})`,
  );

  lookups('look-up, a version of a random vulnerable package', (index) => [`pkg-${(index * 7919) % RECORDS}`, '1.2.3']);
  lookups('look-up, a random package without advisories', (index) => [`clean-${index}`, '1.2.3']);
  lookups('look-up, 100 versions a package', (index) => [
    `pkg-${(Math.floor(index / 100) * 7919) % RECORDS}`,
    `1.${index % 100}.0`,
  ]);
  lookups('look-up, a package with 50 advisories', (index) => ['much-advised', `1.${index % 100}.0`]);

  changes = Array.from({ length: CHANGED }, (_, index) => ({
    ...recordOf(index * 11),
    modified: iso(DAY + 86_400_000),
    summary: 'changed',
  }));
  const delta = await measured(() => scanner.update(new AbortController().signal));
  print(
    `update by ${CHANGED} changed records`,
    `${delta.seconds.toFixed(2)} s, ${delta.value?.length} packages differ`,
  );
  const start = performance.now();
  for (const coordinates of delta.value ?? [])
    for (let each = 0; each < 1000; each += 1) scanner.lookup({ ...coordinates, version: `1.${each}.0` });
  print(
    `judging ${(delta.value ?? []).length * 1000} kept versions of those again`,
    `${((performance.now() - start) / 1000).toFixed(2)} s`,
  );
} finally {
  await scanner?.dispose();
  await transport.dispose();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
}

/** Most are malware as the feed has it, a tenth are advisories with ranges and aliases. */
function recordOf(index) {
  const isMalware = index % 10 !== 0;
  const id = isMalware ? `MAL-2025-${index}` : `GHSA-${String(index).padStart(12, '0')}`;
  const name = !isMalware && index % 5000 === 0 ? 'much-advised' : `pkg-${index}`;
  return {
    schema_version: '1.7.0',
    id,
    modified: iso(DAY - index * 1000),
    published: iso(DAY - index * 2000),
    summary: `Generated record ${index}`,
    details: `What this package does is described here at some length, ${'as advisories do. '.repeat(20)}${index * 7919}`,
    ...(isMalware
      ? {}
      : {
          aliases: [`CVE-2025-${index}`],
          severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }],
        }),
    affected: [
      {
        package: { ecosystem: 'npm', name, purl: `pkg:npm/${name}` },
        ranges: [
          {
            type: 'SEMVER',
            events: isMalware
              ? [{ introduced: '0' }]
              : [{ introduced: '0' }, { fixed: '1.5.0' }, { introduced: '2.0.0' }, { fixed: '2.1.0' }],
          },
        ],
      },
    ],
    references: [{ type: 'ADVISORY', url: `https://advisories.example.com/${id}` }],
    database_specific: { source: 'generated', ...(isMalware ? {} : { severity: 'CRITICAL', cwe_ids: ['CWE-79'] }) },
  };
}

function iso(time) {
  return new Date(time).toISOString();
}

function writeDump(path, count) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    const record = recordOf(index);
    const name = Buffer.from(`${record.id}.json`);
    const content = Buffer.from(JSON.stringify(record));
    const bytes = deflateRawSync(content, { level: 6 });
    const head = Buffer.alloc(26);
    head.writeUInt16LE(20, 0);
    head.writeUInt16LE(8, 4);
    head.writeUInt32LE(crc32(content), 10);
    head.writeUInt32LE(bytes.length, 14);
    head.writeUInt32LE(content.length, 18);
    head.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from('PK\x03\x04'), head, name, bytes);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00'), head, tail, name);
    offset += 30 + name.length + bytes.length;
  }
  // More than 65,535 files: the numbers of the directory stand in the records of ZIP64.
  const central = Buffer.concat(directory);
  const end64 = Buffer.alloc(56);
  end64.write('PK\x06\x06', 'latin1');
  end64.writeBigUInt64LE(44n, 4);
  end64.writeBigUInt64LE(BigInt(count), 24);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(central.length), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 'latin1');
  locator.writeBigUInt64LE(BigInt(offset + central.length), 8);
  locator.writeUInt32LE(1, 16);
  const end = Buffer.alloc(22, 0xff);
  end.write('PK\x05\x06\x00\x00\x00\x00', 'latin1');
  end.writeUInt16LE(0, 20);
  writeFileSync(path, Buffer.concat([...parts, central, end64, locator, end]));
}

function serve(request, reply) {
  const path = decodeURIComponent(request.url);
  const changed = changes.find(({ id }) => path === `/npm/${id}.json`);
  if (changed !== undefined) return reply.end(JSON.stringify(changed));
  if (path === '/npm/all.zip') return createReadStream(join(folder, 'npm', 'all.zip')).pipe(reply);
  if (path === '/npm/modified_id.csv') {
    const lines = changes.map(({ id, modified }) => `${modified},${id}\n`);
    for (let index = 0; index < RECORDS; index += 1) lines.push(`${iso(DAY - index * 1000)},${recordIdOf(index)}\n`);
    return reply.end(lines.join(''));
  }
  reply.writeHead(404).end();
}

function recordIdOf(index) {
  return index % 10 !== 0 ? `MAL-2025-${index}` : `GHSA-${String(index).padStart(12, '0')}`;
}

async function measured(work) {
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
  const start = performance.now();
  try {
    const value = await work();
    return { value, seconds: (performance.now() - start) / 1000, peak: Math.max(peak, process.memoryUsage.rss()) };
  } finally {
    clearInterval(timer);
  }
}

function lookups(title, subject) {
  const times = new Float64Array(LOOKUPS);
  for (let index = 0; index < LOOKUPS; index += 1) {
    const [name, version] = subject(index);
    const start = performance.now();
    scanner.lookup({ ecosystem: 'npm', name, version });
    times[index] = performance.now() - start;
  }
  times.sort();
  const at = (share) => `${((times[Math.floor(LOOKUPS * share)] ?? 0) * 1000).toFixed(1)} us`;
  print(title, `p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}`);
}

function mb(bytes) {
  return Math.round(bytes / 1e6);
}

function print(what, found) {
  console.log(`${what.padEnd(56)} ${found}`);
}
