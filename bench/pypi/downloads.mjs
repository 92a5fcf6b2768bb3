import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuSeconds, run, stop } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';
import { DOWNLOAD_RUNS, downloadedProjects, wheelNames } from './fixtures.mjs';

const PEERS = ['entrepot', 'devpi', 'proxpi'];
const PATIENCE = 180_000;
const measured = new WeakMap();

/** `pip download` through each server and past them: first with new servers, then again. Done once, shown as two tables. */
function samplesOf(bench) {
  if (!measured.has(bench)) measured.set(bench, measure(bench));
  return measured.get(bench);
}

async function measure(bench) {
  const samples = { cold: new Map(), warm: new Map() };
  const keep = (kind, id, sample) => samples[kind].set(id, [...(samples[kind].get(id) ?? []), sample]);
  for (let turn = 0; turn < Math.min(DOWNLOAD_RUNS, bench.options.runs) && bench.timeLeft(); turn++) {
    const projects = downloadedProjects(turn);
    for (const project of projects) await prepare(bench.origin, project);
    const launched = [{ id: 'direct', page: (project) => `${bench.origin.origin}/simple/${project}/` }];
    try {
      for (const id of PEERS.filter((id) => bench.has(id))) launched.push(await bench.launch(id, `download-${turn}`));
      for (const kind of ['cold', 'warm']) {
        for (const server of rotated(launched, turn)) {
          const pid = server.started?.pid;
          const before = await bench.origin.traffic();
          const cpu = pid === undefined ? undefined : cpuSeconds(pid);
          const milliseconds = await download(bench, server, projects);
          keep(kind, server.id, {
            milliseconds,
            cpu: pid === undefined ? undefined : cpuSeconds(pid) - cpu,
            upstreamRequests: (await bench.origin.traffic()).requests - before.requests,
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
async function prepare(origin, project) {
  const newest = `/packages/${project}/${wheelNames(project).at(-1)}`;
  for (const path of [`/simple/${project}/`, newest, `${newest}.metadata`]) await origin.prepare(path);
}

/** @returns the time that it took, in milliseconds */
async function download(bench, { id, page }, projects) {
  const folder = await bench.folder();
  try {
    const requirements = join(folder, 'requirements.txt');
    await writeFile(requirements, projects.join('\n'));
    const wheels = join(folder, 'wheels');
    const index = new URL('..', page('any')).href;
    const argv = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-cache-dir', '--no-deps'];
    const env = { PATH: process.env.PATH, HOME: folder, PIP_CONFIG_FILE: '/dev/null', PYTHONWARNINGS: 'ignore' };
    const since = performance.now();
    const { code, output } = await run(
      'python3',
      [...argv, '--only-binary=:all:', '--index-url', index, '--dest', wheels, '--requirement', requirements],
      { cwd: folder, env, timeout: PATIENCE },
    );
    const milliseconds = performance.now() - since;
    if (code !== 0) throw new Error(`${id}: pip download failed: ${output.trim().slice(-500)}`);
    const found = (await readdir(wheels)).length;
    if (found !== projects.length) throw new Error(`${id}: expected ${projects.length} wheels, found ${found}`);
    return milliseconds;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function scenario(kind, title, bars) {
  return {
    id: `download-${kind}`,
    title: `pip download of ${downloadedProjects(0).length} wheels of 100 KB: ${title}`,
    quick: false,
    async run(bench) {
      const rows = [...(await samplesOf(bench))[kind]].map(([id, all]) => summarise(id, all, 'milliseconds'));
      return { kind: 'milliseconds', rows, bars };
    },
  };
}

export const downloads = [
  scenario('cold', 'nothing kept anywhere', [
    { most: 1, of: 'cpu', unit: 's of CPU' },
    { against: 'direct', most: 1.1 },
  ]),
  scenario('warm', 'the server has all', []),
];
