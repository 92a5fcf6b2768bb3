/**
 * Entrepot beside its peers, on the same fixtures, in one run. `npm run bench`; see README.md for the flags.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { arch, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { wrkProgram } from './lib/install.mjs';
import { killAll, peakMiB, stop } from './lib/processes.mjs';
import { bars, barsTable, scenarioTable } from './lib/table.mjs';
import { bursts } from './scenarios/bursts.mjs';
import { coldLargePackument } from './scenarios/cold-large-packument.mjs';
import { footprint } from './scenarios/footprint.mjs';
import { hits } from './scenarios/hits.mjs';
import { misses } from './scenarios/misses.mjs';
import * as entrepot from './servers/entrepot.mjs';
import * as koa from './servers/koa.mjs';
import { nginx, nginxAuto, nginxCopy } from './servers/nginx.mjs';
import { launchOrigin } from './servers/origin.mjs';
import * as verdaccio from './servers/verdaccio.mjs';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const SERVERS = [entrepot, verdaccio, nginx, nginxAuto, nginxCopy, koa];
const SCENARIOS = [footprint, ...hits, ...misses, ...bursts, coldLargePackument];
const FULL_RUNS = 5;
const FULL_DEADLINE = 11 * 60_000;
const QUICK_DEADLINE = 105_000;
const PEAK_TITLE = 'Largest resident memory of the servers that ran all scenarios';

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      server: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const only = values.only.flatMap((value) => value.split(','));
  const servers = values.server.flatMap((value) => value.split(','));
  const unknownServer = servers.find((id) => !SERVERS.some((server) => server.id === id));
  if (unknownServer) {
    throw new Error(`--server ${unknownServer}: expected some of ${SERVERS.map((server) => server.id).join(', ')}`);
  }
  const scenarios = SCENARIOS.filter(({ id, quick }) =>
    only.length === 0 ? !values.quick || quick !== false : only.some((part) => id.includes(part)),
  );
  if (scenarios.length === 0)
    throw new Error(`--only ${only}: expected a part of ${SCENARIOS.map(({ id }) => id).join(', ')}`);
  const runs = Number(values.runs ?? (values.quick ? 1 : FULL_RUNS));
  if (!Number.isInteger(runs) || runs < 1 || runs > 100) throw new Error(`--runs ${values.runs}: expected 1 to 100`);
  const full = only.length === 0 && servers.length === 0 && !values.quick && runs >= FULL_RUNS;
  return { scenarios, servers, runs, quick: values.quick, list: values.list, full };
}

/** What scenarios see: the origin, the servers (started when first asked for), the options and the time that is left. */
async function openBench(options, temporary) {
  const wrk = await wrkProgram();
  if (wrk.missing) throw new Error(wrk.missing);
  const versions = new Map();
  const missing = new Map();
  for (const server of SERVERS) {
    if (options.servers.length > 0 && !options.servers.includes(server.id)) continue;
    const prepared = await server.prepare();
    if (prepared.missing) missing.set(server.id, prepared.missing);
    else versions.set(server.id, prepared.version);
  }
  const origin = await launchOrigin();
  const running = new Map();
  const end = performance.now() + (options.quick ? QUICK_DEADLINE : FULL_DEADLINE);
  return {
    options,
    origin,
    wrk: wrk.path,
    versions,
    missing,
    running,
    has: (id) => versions.has(id),
    timeLeft: () => performance.now() < end,
    async launch(id, name) {
      const folder = join(temporary, `${id}-${name}`);
      await mkdir(folder, { recursive: true });
      return SERVERS.find((server) => server.id === id).launch({ origin: origin.origin, folder });
    },
    async server(id) {
      if (!running.has(id)) running.set(id, await this.launch(id, 'main'));
      const server = running.get(id);
      if (server.started.ended()) throw new Error(`${id} has ended:\n${server.started.output()}`);
      return server;
    },
    async close() {
      await Promise.all([...running.values(), origin].map((server) => stop(server.started)));
    },
  };
}

async function runScenarios(bench) {
  const results = [];
  for (const { id, title, run } of bench.options.scenarios) {
    let result;
    if (!bench.timeLeft()) result = { error: 'the time for the run was up', rows: [] };
    else {
      process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${title}\n`);
      const load = loadavg()[0].toFixed(1);
      try {
        result = await run(bench);
        result.load = load;
      } catch (error) {
        result = { error: error.message, rows: [] };
      }
    }
    const one = { id, title, result };
    results.push(one);
    process.stdout.write(`\n${scenarioTable(one)}`);
  }
  return results;
}

function machine() {
  const processors = cpus();
  return (
    `${processors.length} x ${processors[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]} ${arch()}, ` +
    `loopback, cores shared by servers, origin and load generator`
  );
}

function reportHead(bench, startedAt, loadBefore) {
  const versions = [...bench.versions].map(([id, version]) => `${id} (${version})`).join(', ');
  const lines = [
    `- ${startedAt.toISOString()}, ${bench.options.runs} run(s) of each, medians, order rotated`,
    `- machine: ${machine()}`,
    `- load average before: ${loadBefore}, after: ${loadavg()[0].toFixed(2)}`,
    `- servers: ${versions}`,
  ];
  for (const [id, reason] of bench.missing) lines.push(`- left out: ${id}: ${reason}`);
  return lines.join('\n');
}

function peakTable(bench) {
  const rows = [...bench.running.values()]
    .filter((server) => !server.started.ended())
    .map((server) => `| ${server.id} | ${peakMiB(server.started.pid).toFixed(0)} |`);
  return rows.length === 0 ? '' : `### ${PEAK_TITLE}\n\n| server | MiB |\n| --- | --: |\n${rows.join('\n')}\n`;
}

async function main() {
  const options = readOptions();
  if (options.list) {
    process.stdout.write(SCENARIOS.map(({ id, title }) => `${id}\t${title}\n`).join(''));
    return;
  }
  const startedAt = new Date();
  const loadBefore = loadavg()[0].toFixed(2);
  const temporary = await mkdtemp(join(tmpdir(), 'entrepot-bench-'));
  const interrupt = () => {
    killAll();
    process.exitCode = 130;
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  let bench;
  try {
    bench = await openBench(options, temporary);
    const results = await runScenarios(bench);
    const found = bars(results);
    const peaks = peakTable(bench);
    const head = reportHead(bench, startedAt, loadBefore);
    const report = [
      '# Measured\n',
      `${head}\n`,
      '## Bars\n',
      barsTable(found),
      '## Tables\n',
      ...results.map(scenarioTable),
      peaks,
    ].join('\n');
    process.stdout.write(`\n${peaks}\n${head}\n\n${barsTable(found)}`);
    await writeReports(report, { startedAt, options, machine: machine(), results, bars: found });
  } finally {
    await bench?.close();
    await rm(temporary, { recursive: true, force: true });
  }
}

async function writeReports(report, raw) {
  const folder = join(FOLDER, 'results');
  await mkdir(folder, { recursive: true });
  const name = join(folder, raw.startedAt.toISOString().replace(/[:.]/g, '-'));
  await writeFile(`${name}.md`, report);
  const { scenarios, ...options } = raw.options;
  const json = { ...raw, options: { ...options, scenarios: scenarios.map(({ id }) => id) } };
  await writeFile(`${name}.json`, `${JSON.stringify(json, null, 2)}\n`);
  process.stdout.write(`\n${name}.md\n`);
  if (raw.options.full) await writeFile(join(FOLDER, 'RESULTS.md'), report);
}

await main();
