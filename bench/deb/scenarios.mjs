import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Apt } from '@entrepot/fixtures/apt';
import { DEBIAN_KEYRING, debianSources } from '@entrepot/fixtures/debian-sources';
import { provideTool } from '@entrepot/fixtures/tools';
import { sha256 } from '../lib/fixtures.mjs';
import { cpuSeconds, run, stop } from '../lib/processes.mjs';
import { runRates } from '../lib/rates.mjs';
import { summarise } from '../lib/statistics.mjs';
import { launchEntrepot } from '../servers/entrepot.mjs';
import { packagePath } from './fixtures.mjs';
import { updateBytes } from './update-bytes.mjs';

const PEERS = ['entrepot', 'nginx', 'nginx-copy', 'apt-cacher-ng'];
const CLIENT_PEERS = ['entrepot', 'apt-cacher-ng'];
const PATIENCE = 300_000;

/** A package that is kept, under load. */
function rate(name, { title, bars }) {
  return {
    id: `hit-${name}`,
    title: `Package, ${title}, kept, 16 connections`,
    async run(bench) {
      const path = packagePath(name);
      return runRates(bench, {
        servers: PEERS,
        async urlOf(server) {
          // Packages are found by an index that was asked for.
          for (const file of ['InRelease', 'main/binary-amd64/Packages.xz'])
            await fetch(`${server.archive}/dists/stable/${file}`).then((answer) => answer.arrayBuffer());
          return `${server.archive}/${path}`;
        },
        expected: async () => sha256((await bench.origin.prepare(`/${path}`)).body),
        digest: sha256,
        connections: 16,
        // apt-cacher-ng closes those that wait.
        agent: false,
        seconds: 3,
        field: 'requestsPerSecond',
        bars,
      });
    },
  };
}

/** @returns the time that it took, in milliseconds */
async function updateOnce(folder, archive, { keyring }) {
  const file = join(folder, 'archive.asc');
  await writeFile(file, keyring);
  const client = await new Apt(join(folder, 'root')).open([`deb [signed-by=${file}] ${archive} stable main`]);
  const { code, stderr, milliseconds } = await client.run('update');
  if (code !== 0) throw new Error(`apt-get update on ${archive}: ${stderr}`);
  return milliseconds;
}

const measured = new WeakMap();

/** A whole system by mmdebstrap, past Entrepot, through a new one, and through that again. From this machine's mirror. */
function bootstraps(bench) {
  if (!measured.has(bench)) measured.set(bench, measure(bench));
  return measured.get(bench);
}

async function measure(bench) {
  const [source] = await debianSources();
  const program = await provideTool('mmdebstrap');
  if (source === undefined || program === undefined)
    throw new Error('a machine of Debian with mmdebstrap was expected');
  const samples = { direct: [], cold: [], warm: [] };
  for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
    const folder = await bench.folder();
    const server = await launchEntrepot({
      folder,
      repositories: {
        debian: { type: 'deb', upstream: source.url, signatures: { keyrings: [DEBIAN_KEYRING], mode: 'enforce' } },
      },
    });
    const ways = ['cold', 'warm'];
    // What a system before it has written slows the next one down.
    ways.splice(turn % 3, 0, 'direct');
    try {
      for (const way of ways) {
        const url = way === 'direct' ? source.url : `${server.base}/debian`;
        const cpu = cpuSeconds(server.started.pid);
        const milliseconds = await bootstrap(program, source.suites[0], join(folder, `${way}.tar`), url);
        samples[way].push({ milliseconds, cpu: cpuSeconds(server.started.pid) - cpu });
        await rm(join(folder, `${way}.tar`));
        await run('sync', [], { timeout: PATIENCE });
      }
    } finally {
      await stop(server.started);
      await rm(folder, { recursive: true, force: true });
    }
  }
  return samples;
}

/** @returns the time that it took, in milliseconds */
async function bootstrap(program, suite, target, url) {
  const since = performance.now();
  const argv = ['--quiet', '--variant=minbase', suite, target, url];
  const { code, output } = await run(program, argv, { timeout: PATIENCE });
  if (code !== 0) throw new Error(`mmdebstrap ${url}: ${output.slice(-500)}`);
  return performance.now() - since;
}

function installation(way, most) {
  return {
    id: `mmdebstrap-${way}`,
    title: `mmdebstrap of a minimal system, ${way}`,
    quick: false,
    async run(bench) {
      const samples = await bootstraps(bench);
      return {
        kind: 'milliseconds',
        notes: ['from the mirror that this machine is set up with, over the network'],
        rows: [
          summarise('entrepot', samples[way], 'milliseconds'),
          summarise(
            'direct',
            samples.direct.map(({ milliseconds }) => ({ milliseconds })),
            'milliseconds',
          ),
        ],
        bars: [{ against: 'direct', most }],
      };
    },
  };
}

export const scenarios = [
  rate('small', { title: '20 KB', bars: [] }),
  rate('large', { title: '1 MB', bars: [{ against: 'nginx', least: 0.7 }] }),
  updateBytes({ title: 'apt update of one client: bytes from the upstream', peers: CLIENT_PEERS, updateOnce }),
  installation('cold', 1.1),
  installation('warm', 1),
];
