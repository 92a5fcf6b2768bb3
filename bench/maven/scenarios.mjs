import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Maven, provideMaven } from '@entrepot/fixtures/maven';
import { cpuSeconds, stop } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';
import { writeProject } from './fixtures.mjs';

const PEERS = ['entrepot', 'nginx'];
/** The client: it takes sums out of headers. */
const CLIENT = '3.9.11';
const PATIENCE = 300_000;

/** Upstreams by what they say of sums. */
const UPSTREAMS = {
  distant: { title: '20 ms away, sums in headers', urlOf: ({ distant }) => distant.origin },
  headers: { title: 'on loopback, sums in headers', urlOf: ({ withSums }) => withSums },
  sidecars: { title: 'on loopback, sums in sidecars', urlOf: ({ origin }) => origin },
};

const measured = new WeakMap();

/** A resolve through each server and past them, with an empty local repository: first with new servers, then again. Done once, shown as two tables. */
function samplesOf(bench, upstream) {
  const known = measured.get(bench) ?? new Map();
  measured.set(bench, known);
  if (!known.has(upstream)) known.set(upstream, measure(bench, upstream));
  return known.get(upstream);
}

async function measure(bench, upstream) {
  const url = UPSTREAMS[upstream].urlOf(bench.origin);
  const program = await provideMaven(CLIENT);
  const samples = { cold: new Map(), warm: new Map() };
  // The first Maven of a run reads its own jars from the disk.
  await resolve(bench, program, url);
  for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
    const launched = [{ id: 'direct', maven: url }];
    try {
      for (const id of PEERS.filter((one) => bench.has(one)))
        launched.push(await bench.launch(id, `resolve-${upstream}-${turn}`, { origin: { origin: url } }));
      for (const kind of ['cold', 'warm'])
        for (const server of rotated(launched, turn)) {
          const sample = await resolveThrough(bench, program, server);
          samples[kind].set(server.id, [...(samples[kind].get(server.id) ?? []), sample]);
        }
    } finally {
      await Promise.all(launched.filter(({ started }) => started).map(({ started }) => stop(started)));
    }
  }
  return samples;
}

async function resolveThrough(bench, program, { id, maven, base, started }) {
  const asked = async () => (id === 'entrepot' ? await clientRequests(base) : undefined);
  const [before, requests] = [await bench.origin.traffic(), await asked()];
  const cpu = started && cpuSeconds(started.pid);
  const milliseconds = await resolve(bench, program, maven);
  const spent = started && cpuSeconds(started.pid) - cpu;
  const after = await bench.origin.traffic();
  const upstreamRequests = after.requests - before.requests;
  return {
    milliseconds,
    cpu: spent,
    upstreamRequests,
    upstreamSums: after.sums - before.sums,
    clientRequests: id === 'direct' ? upstreamRequests : id === 'entrepot' ? (await asked()) - requests : undefined,
  };
}

/** Requests for the repository so far, as the metrics of the server count them. */
async function clientRequests(base) {
  const text = await (await fetch(`${base}/metrics`)).text();
  const counts = [...text.matchAll(/^entrepot_requests_total\{[^}]*\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** @returns the time that it took, in milliseconds */
async function resolve(bench, program, mirror) {
  const folder = await bench.folder();
  try {
    const maven = await new Maven(join(folder, 'home'), program).open({ mirror });
    await writeProject(join(folder, 'project'));
    const since = performance.now();
    const { code, stdout, stderr } = await maven.run(join(folder, 'project'), ['validate', '-q'], PATIENCE);
    const milliseconds = performance.now() - since;
    if (code !== 0) throw new Error(`mvn through ${mirror}: ${(stdout + stderr).trim().slice(0, 500)}`);
    const found = (await readdir(maven.repository, { recursive: true })).filter((name) => /\.(?:pom|jar)$/.test(name));
    if (found.length !== bench.origin.files)
      throw new Error(`mvn through ${mirror}: expected ${bench.origin.files} files, found ${found.length}`);
    return milliseconds;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function scenario(upstream, kind, bar) {
  const words = { cold: 'nothing kept anywhere', warm: 'the server has all' }[kind];
  return {
    id: `resolve-${upstream}-${kind}`,
    title: `mvn: a tree of 1,500 files, upstream ${UPSTREAMS[upstream].title}: ${words}`,
    async run(bench) {
      const samples = (await samplesOf(bench, upstream))[kind];
      const rows = [...samples].map(([id, all]) => summarise(id, all, 'milliseconds'));
      return { kind: 'milliseconds', notes: [], rows, bars: [bar] };
    },
  };
}

export const scenarios = Object.keys(UPSTREAMS).flatMap((upstream) => [
  scenario(upstream, 'cold', { against: 'direct', most: 1.15 }),
  scenario(upstream, 'warm', { against: 'direct', most: 1 }),
]);
