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
import { SUITES } from './suites.mjs';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const MOST_RUNS = 20;
const QUICK_DEADLINE = 105_000;
const PEAK_TITLE = 'Largest resident memory of the servers that ran all scenarios';

function readOptions() {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: 'npm' },
      only: { type: 'string', multiple: true, default: [] },
      server: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const suite = SUITES[values.suite];
  if (!suite) throw new Error(`--suite ${values.suite}: expected one of ${Object.keys(SUITES).join(', ')}`);
  const only = values.only.flatMap((value) => value.split(','));
  const servers = values.server.flatMap((value) => value.split(','));
  const unknownServer = servers.find((id) => !suite.servers.some((server) => server.id === id));
  if (unknownServer) {
    throw new Error(`--server ${unknownServer}: expected some of ${suite.servers.map(({ id }) => id).join(', ')}`);
  }
  const scenarios = suite.scenarios.filter(({ id, quick }) =>
    only.length === 0 ? !values.quick || quick !== false : only.some((part) => id.includes(part)),
  );
  if (scenarios.length === 0)
    throw new Error(`--only ${only}: expected a part of ${suite.scenarios.map(({ id }) => id).join(', ')}`);
  const runs = Number(values.runs ?? (values.quick ? 1 : suite.runs));
  if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS)
    throw new Error(`--runs ${values.runs}: expected 1 to ${MOST_RUNS}`);
  const full = only.length === 0 && servers.length === 0 && !values.quick && runs >= suite.runs;
  return { suite, suiteName: values.suite, scenarios, servers, runs, quick: values.quick, list: values.list, full };
}

/** The context of scenarios: the origin, the servers (started on first use), the options and the time that is left. */
async function openBench(options, temporary) {
  const wrk = await wrkProgram();
  if (wrk.missing) throw new Error(wrk.missing);
  const versions = new Map();
  const missing = new Map();
  for (const server of options.suite.servers) {
    if (options.servers.length > 0 && !options.servers.includes(server.id)) continue;
    const prepared = await server.prepare();
    if (prepared.missing) missing.set(server.id, prepared.missing);
    else versions.set(server.id, prepared.version);
  }
  const origin = await options.suite.launchOrigin(temporary);
  const running = new Map();
  const end = performance.now() + (options.quick ? QUICK_DEADLINE : options.suite.deadline);
  return {
    options,
    origin,
    wrk: wrk.path,
    versions,
    missing,
    running,
    has: (id) => versions.has(id),
    timeLeft: () => performance.now() < end,
    launchOrigin: (...argv) => options.suite.launchOrigin(temporary, ...argv),
    /** A new folder, for the caller to remove. */
    folder: () => mkdtemp(join(temporary, 'scenario-')),
    /** A server of its own for a scenario; `settings`: another origin, and what the suite's servers take. */
    async launch(id, name, settings = {}) {
      const folder = join(temporary, `${id}-${name}`);
      await mkdir(folder, { recursive: true });
      const upstream = settings.origin ?? origin;
      const launch = options.suite.servers.find((server) => server.id === id).launch;
      return launch({ ...settings, upstream, origin: upstream.origin, folder });
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
  for (const remark of bench.options.suite.remarks) lines.push(`- ${remark}`);
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
    process.stdout.write(options.suite.scenarios.map(({ id, title }) => `${id}\t${title}\n`).join(''));
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
    // Also what never became ready.
    killAll();
    await rm(temporary, { recursive: true, force: true });
  }
}

async function writeReports(report, raw) {
  const folder = join(FOLDER, 'results');
  await mkdir(folder, { recursive: true });
  const name = join(folder, raw.startedAt.toISOString().replace(/[:.]/g, '-'));
  await writeFile(`${name}.md`, report);
  const { scenarios, suite, ...options } = raw.options;
  const json = { ...raw, options: { ...options, scenarios: scenarios.map(({ id }) => id) } };
  await writeFile(`${name}.json`, `${JSON.stringify(json, null, 2)}\n`);
  const others = Object.keys(SUITES).filter((one) => one !== options.suiteName);
  const hint = others.map((one) => `npm run bench -- --suite ${one}`).join(', ');
  process.stdout.write(`\n${name}.md\nThe other suites: ${hint}\n`);
  if (raw.options.full) await writeFile(join(FOLDER, suite.results), report);
}

await main();
