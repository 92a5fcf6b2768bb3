// What policy costs in the pipeline: filtering a packument, and serving what is kept.
// node bench/policy/pipeline.mjs   (after npm run build). The best of many short runs: what is left of the machine is not the pipeline's.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { allowAll } from '@entrepot/core';
import { createPolicy } from '@entrepot/core/engine';
import { openTestRepository } from '@entrepot/core/testing';
import npm from '@entrepot/plugin-npm';

const VERSIONS = 2000;
const RUNS = 40;
const REQUESTS = 10_000;
const DAY = 24 * 3_600_000;
const BASE = '/upstream/base';

const policies = {
  none: () => allowAll,
  balanced: () => createPolicy({ document: { version: 1, preset: 'balanced' } }),
  strict: () => createPolicy({ document: { version: 1, preset: 'strict' } }),
};

/** A policy under a revision that can be changed, so that the same document is filtered again. */
function renewable(policy) {
  let revision = 0;
  return {
    renew: () => void (revision += 1),
    revision: () => `${revision}`,
    evaluate: (input) => policy.evaluate(input),
    needs: () => policy.needs(),
  };
}

function packument(now) {
  const versions = {};
  const time = {};
  for (let index = 0; index < VERSIONS; index += 1) {
    const version = `1.${Math.floor(index / 100)}.${index % 100}`;
    // Half of the versions are refused, the hardest case: each leaves its reason.
    time[version] = new Date(now - (index % 2 === 0 ? 1 : 400) * DAY).toISOString();
    versions[version] = {
      name: 'tool',
      version,
      license: 'MIT',
      description: 'a tool for measurements',
      dependencies: Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`dependency-${at}`, `^${at}.0.0`])),
      dist: {
        integrity: `sha512-${createHash('sha512').update('x').digest('base64')}`,
        tarball: `https://r.example.com/${version}`,
      },
    };
  }
  return JSON.stringify({ name: 'tool', 'dist-tags': { latest: '1.0.1' }, versions, time });
}

async function open(policy) {
  const repository = await openTestRepository({ plugin: npm, policy });
  repository.upstream.serve(`${BASE}/tool`, { body: packument(repository.clock.now()), mediaType: 'application/json' });
  repository.upstream.serve(`${BASE}/tool/-/tool-1.0.1.tgz`, { body: 'x' });
  return repository;
}

function requestOf(rawPath, headers = {}) {
  return {
    method: 'GET',
    rawPath,
    rawQuery: '',
    header: (name) => headers[name],
    body: Readable.from([]),
    baseUrl: 'https://packages.example.com/npm',
    signal: new AbortController().signal,
  };
}

async function drained(reply) {
  if (reply.body === undefined || Buffer.isBuffer(reply.body)) return;
  for await (const part of reply.body) void part;
}

/** Milliseconds for one packument that is not memoised. */
async function filtering(make) {
  const policy = renewable(make());
  const repository = await open(policy);
  const samples = [];
  for (let run = 0; run < RUNS; run += 1) {
    policy.renew();
    const since = performance.now();
    await drained(await repository.engine.handle(requestOf('/tool')));
    samples.push(performance.now() - since);
  }
  await repository.close();
  return Math.min(...samples);
}

/** Requests a second, one after the other. */
async function serving(make, headers) {
  const repository = await open(make());
  const request = requestOf('/tool/-/tool-1.0.1.tgz', headers);
  await repository.ask('/tool/-/tool-1.0.1.tgz');
  const samples = [];
  for (let run = 0; run < RUNS; run += 1) {
    const since = performance.now();
    for (let at = 0; at < REQUESTS; at += 1) await repository.engine.handle(request);
    samples.push((REQUESTS / (performance.now() - since)) * 1000);
  }
  await repository.close();
  return Math.max(...samples);
}

const rows = [];
for (const [name, make] of Object.entries(policies)) {
  rows.push({
    policy: name,
    'filter 2,000 versions (ms)': Number((await filtering(make)).toFixed(1)),
    'ready replies (1/s)': Math.round(await serving(make, {})),
    'ranges (1/s)': Math.round(await serving(make, { range: 'bytes=0-0' })),
  });
}
const [without] = rows;
for (const row of rows)
  row['of that policy (ms)'] = Number(
    (row['filter 2,000 versions (ms)'] - without['filter 2,000 versions (ms)']).toFixed(1),
  );
console.table(rows);
