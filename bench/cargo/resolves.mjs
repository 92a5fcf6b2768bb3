import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newHome, newProject, runCargo } from '@entrepot/fixtures/cargo';
import { outputOf } from '@entrepot/fixtures/run-command';
import { cpuSeconds, stop } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';
import { CRATES, directNames } from './fixtures.mjs';

const PEERS = ['entrepot', 'nginx'];
const FEWER = 150;
const PATIENCE = 300_000;
/** Cargo counts the time that a request waits for others before it is sent: on a busy machine the last ones would time out. */
const PATIENT = { CARGO_HTTP_TIMEOUT: '300' };
/** Real runs of a client, with new servers each: a bound for long runs. */
const MOST_RUNS = 5;

const measured = new WeakMap();

/**
 * `cargo fetch` past the servers and through each: into an empty client with new servers, again into an empty client, and once more into
 * a client that has the index. Done once, shown as three tables.
 */
function samplesOf(bench) {
  if (!measured.has(bench)) measured.set(bench, measure(bench));
  return measured.get(bench);
}

async function measure(bench) {
  const count = bench.options.quick ? FEWER : CRATES;
  const samples = { cold: new Map(), warm: new Map(), known: new Map() };
  const keep = (kind, id, sample) => samples[kind].set(id, [...(samples[kind].get(id) ?? []), sample]);
  const origin = count === CRATES ? bench.origin : await bench.launchOrigin(String(count));
  try {
    for (const path of origin.paths) await origin.prepare(path, { 'accept-encoding': 'gzip' });
    for (let turn = 0; turn < Math.min(MOST_RUNS, bench.options.runs) && bench.timeLeft(); turn += 1) {
      const launched = [{ id: 'direct', index: `${origin.origin}/index` }];
      try {
        for (const id of PEERS.filter((id) => bench.has(id)))
          launched.push(await bench.launch(id, `resolve-${turn}`, { origin }));
        for (const kind of ['cold', 'warm']) {
          for (const server of rotated(launched, turn)) {
            await inPlace(bench, server, async (fetchAll) => {
              keep(kind, server.id, await observed(origin, server, () => fetchAll(count)));
              if (kind === 'warm') keep('known', server.id, await observed(origin, server, () => fetchAll(count)));
            });
          }
        }
      } finally {
        await Promise.all(launched.filter(({ started }) => started).map(({ started }) => stop(started)));
      }
    }
  } finally {
    if (origin !== bench.origin) await stop(origin.started);
  }
  return samples;
}

/** A client with nothing of its own at first. */
async function inPlace(bench, server, use) {
  const folder = await bench.folder();
  try {
    const place = { home: join(folder, 'home'), project: join(folder, 'project') };
    await newHome(place.home, { registries: { here: server.index } });
    await use((count) => fetchOnce(server, place, count));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns the time that it took, in milliseconds */
async function fetchOnce(server, { home, project }, count) {
  const dependencies = directNames()
    .map((name) => `${name} = { version = "1", registry = "here" }`)
    .join('\n');
  // A new project: cargo asks for the index of every crate, with the tags of what it has.
  await newProject(project, { dependencies });
  const result = await runCargo(['fetch', '--quiet'], { home, project, timeout: PATIENCE, settings: PATIENT });
  if (result.code !== 0) throw new Error(`${server.id}: cargo fetch failed: ${outputOf(result)}`);
  const lock = await readFile(join(project, 'Cargo.lock'), 'utf8');
  const found = lock.split('[[package]]').length - 2;
  if (found !== count) throw new Error(`${server.id}: expected ${count} crates, found ${found}`);
  return result.milliseconds;
}

/** A run with what it cost the server and the origin. */
async function observed(origin, server, run) {
  const pid = server.started?.pid;
  const before = await origin.traffic();
  const cpu = pid === undefined ? undefined : cpuSeconds(pid);
  const milliseconds = await run();
  const after = await origin.traffic();
  return {
    milliseconds,
    cpu: pid === undefined ? undefined : cpuSeconds(pid) - cpu,
    upstreamRequests: after.requests - before.requests,
    upstreamMegabytes: (after.bytes - before.bytes) / 1e6,
  };
}

function resolve(kind, title, bars) {
  return {
    id: `resolve-${kind}`,
    title: `cargo fetch of ${CRATES} crates: ${title}`,
    async run(bench) {
      const samples = (await samplesOf(bench))[kind];
      const notes = bench.options.quick ? [`${FEWER} crates only`] : [];
      const rows = [...samples].map(([id, all]) => summarise(id, all, 'milliseconds'));
      return { kind: 'milliseconds', notes, rows, bars };
    },
  };
}

export const resolves = [
  resolve('cold', 'nothing kept anywhere', [{ against: 'direct', most: 1.15 }]),
  resolve('warm', 'the server has all, the client nothing', [{ against: 'direct', most: 1 }]),
  resolve('known', 'both have all', [{ against: 'direct', most: 1 }]),
];
