import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lastVersion, parsePackageName, tarball } from '../lib/fixtures.mjs';
import { cpuSeconds, run, stop } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';
import { createHash } from 'node:crypto';

const PEERS = ['entrepot', 'verdaccio'];
const PACKAGES = 582;
const FEWER = 150;
/** A server of its own for each run, and a client that unpacks: three runs say enough. */
const MOST_RUNS = 3;
const PATIENCE = 180_000;
/** Versions of packages as they are in a lockfile of a web application. */
const VERSIONS = [3, 8, 15, 25, 40, 60, 90, 140, 220, 400];

const measured = new WeakMap();

/** `npm ci` through each server and past them, its own cache empty: first with new servers, then again. Done once, shown as two tables. */
function samplesOf(bench) {
  if (!measured.has(bench)) measured.set(bench, measure(bench));
  return measured.get(bench);
}

async function measure(bench) {
  const count = bench.options.quick ? FEWER : PACKAGES;
  const samples = { cold: new Map(), warm: new Map() };
  const keep = (kind, id, sample) => samples[kind].set(id, [...(samples[kind].get(id) ?? []), sample]);
  for (let turn = 0; turn < Math.min(MOST_RUNS, bench.options.runs) && bench.timeLeft(); turn++) {
    const names = Array.from({ length: count }, (_, at) => `package-${VERSIONS[at % VERSIONS.length]}-t${turn}x${at}`);
    for (const name of names) await prepare(bench.origin, name);
    const launched = [{ id: 'direct', npm: bench.origin.npm }];
    try {
      for (const id of PEERS.filter((id) => bench.has(id))) launched.push(await bench.launch(id, `install-${turn}`));
      for (const kind of ['cold', 'warm']) {
        for (const server of rotated(launched, turn)) {
          const pid = server.started?.pid;
          const before = requests(await bench.origin.counts());
          const cpu = pid === undefined ? undefined : cpuSeconds(pid);
          const milliseconds = await install(bench, server, names);
          keep(kind, server.id, {
            milliseconds,
            cpu: pid === undefined ? undefined : cpuSeconds(pid) - cpu,
            upstreamRequests: requests(await bench.origin.counts()) - before,
          });
        }
      }
    } finally {
      await Promise.all(launched.filter(({ started }) => started).map(({ started }) => stop(started)));
    }
  }
  return samples;
}

/** Makes every body before it is needed: its making is no time of the upstream's. */
async function prepare(origin, name) {
  const version = lastVersion(parsePackageName(name));
  for (const path of [`/${name}`, `/${name}/${version}`, `/${name}/-/${name}-${version}.tgz`]) {
    await origin.prepare(`/npm${path}`);
  }
}

function requests(counts) {
  return Object.entries(counts).reduce((sum, [path, count]) => (path.startsWith('/npm/') ? sum + count : sum), 0);
}

/** @returns the time that it took, in milliseconds */
async function install(bench, { id, npm }, names) {
  const folder = await bench.folder();
  try {
    const project = join(folder, 'project');
    await mkdir(project, { recursive: true });
    const root = { name: 'bench', version: '1.0.0', dependencies: {} };
    const packages = { '': root };
    for (const name of names) {
      const version = lastVersion(parsePackageName(name));
      root.dependencies[name] = version;
      const integrity = `sha512-${createHash('sha512').update(tarball(name, version)).digest('base64')}`;
      packages[`node_modules/${name}`] = { version, resolved: `${npm}/${name}/-/${name}-${version}.tgz`, integrity };
    }
    await writeFile(join(project, 'package.json'), JSON.stringify(root));
    const lockfile = { name: root.name, version: root.version, lockfileVersion: 3, requires: true, packages };
    await writeFile(join(project, 'package-lock.json'), JSON.stringify(lockfile));
    const argv = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--registry', npm];
    const env = { PATH: process.env.PATH, HOME: folder, npm_config_cache: join(folder, 'cache') };
    const since = performance.now();
    const { code, output } = await run('npm', argv, { cwd: project, env, timeout: PATIENCE });
    const milliseconds = performance.now() - since;
    if (code !== 0) throw new Error(`${id}: npm ci failed: ${output.trim().slice(0, 500)}`);
    const installed = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'));
    if (installed.length !== names.length)
      throw new Error(`${id}: expected ${names.length} packages, found ${installed.length}`);
    return milliseconds;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function scenario(kind, title, bars) {
  return {
    id: `install-${kind}`,
    title: `npm ci of ${PACKAGES} packages from a lockfile: ${title}`,
    async run(bench) {
      const samples = (await samplesOf(bench))[kind];
      const notes = bench.options.quick ? [`${FEWER} packages only`] : [];
      const rows = [...samples].map(([id, all]) => summarise(id, all, 'milliseconds'));
      return { kind: 'milliseconds', notes, rows, bars };
    },
  };
}

export const installs = [
  scenario('cold', 'nothing kept anywhere', [
    { most: 3, of: 'cpu', unit: 's of CPU' },
    { against: 'direct', most: 1.15 },
  ]),
  scenario('warm', 'the server has all', [{ most: 0.7, of: 'cpu', unit: 's of CPU' }]),
];
