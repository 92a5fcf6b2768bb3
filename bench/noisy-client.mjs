/**
 * Measures what another client feels of one that asks for a hundred times its share: times of requests, in turns with the same client
 * alone, beside the same noise at another server of this machine (which takes processors, and nothing else), and beside the same noise
 * where nobody is limited.
 *
 * node scripts/node.mjs bench/noisy-client.mjs [--rounds 12] [--seconds 1] [--share 20] [--json]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { get } from './lib/http.mjs';
import { killAll, stop } from './lib/processes.mjs';
import { median, percentile } from './lib/statistics.mjs';
import { launchEntrepot } from './servers/entrepot.mjs';
import { launchOrigin } from './servers/origin.mjs';

/** Addresses of this machine, so that clients are told apart. */
const QUIET = '127.0.0.2';
const NOISY = '127.0.0.3';
const WARMING = '127.0.0.4';
const TIMES = 100;
const NOISY_CONNECTIONS = 32;
const PATH = '/tarball-300/-/tarball-300-1.0.0.tgz';
/** Not at once after the noise began or ended. */
const SETTLE = 200;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    seconds: { type: 'string', default: '1' },
    share: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
    noise: { type: 'boolean', default: false },
  },
});
const SHARE = Number(flags.share);

if (flags.noise) makeNoise();
else await compare();

async function compare() {
  const folder = await mkdtemp(join(tmpdir(), 'entrepot-bench-noisy-'));
  const origin = await launchOrigin();
  const npm = { type: 'npm', upstream: origin.npm, cache: { packument: { freshFor: '1h' } } };
  const limited = { ...npm, mount: '/limited', rateLimit: { address: { requests: SHARE, burst: 2 * SHARE } } };
  const repositories = { limited, open: { ...npm, mount: '/open' } };
  const servers = [];
  for (const name of ['server', 'other']) {
    const own = join(folder, name);
    await mkdir(own);
    servers.push(await launchEntrepot({ folder: own, repositories }));
  }
  const [server, other] = servers;
  const noise = fork(process.argv[1], ['--noise', '--share', String(SHARE)]);
  try {
    const agent = new Agent({ keepAlive: true, localAddress: QUIET });
    const settings = [
      { id: 'alone', base: `${server.base}/limited` },
      { id: 'elsewhere', base: `${server.base}/limited`, noise: `${other.base}/limited` },
      { id: 'limited', base: `${server.base}/limited`, noise: `${server.base}/limited` },
      { id: 'unlimited', base: `${server.base}/open`, noise: `${server.base}/open` },
    ];
    for (const { base, noise: target = base } of settings)
      for (const one of [base, target]) await get(one + PATH, { agent: new Agent({ localAddress: WARMING }) });
    const times = Object.fromEntries(settings.map(({ id }) => [id, []]));
    const noises = { elsewhere: [], limited: [], unlimited: [] };
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      for (const { id, base, noise: target } of settings) {
        if (target !== undefined) noise.send({ url: target + PATH });
        await pause(SETTLE);
        times[id].push(...(await ask(base + PATH, agent)));
        if (target === undefined) continue;
        noise.send({});
        const [counted] = await once(noise, 'message');
        noises[id].push(counted);
        await pause(SETTLE);
      }
    }
    report(times, noises);
  } finally {
    noise.kill();
    for (const { started } of servers) await stop(started);
    await stop(origin.started);
    await rm(folder, { recursive: true, force: true });
    killAll();
  }
}

/** Asks so often as the share allows. @returns milliseconds of each request */
async function ask(url, agent) {
  const interval = 1000 / SHARE;
  const count = Math.round((Number(flags.seconds) * 1000) / interval);
  const begun = performance.now();
  const answers = [];
  for (let at = 0; at < count; at += 1) {
    await pause(begun + at * interval - performance.now());
    answers.push(get(url, { agent, sink: () => {} }));
  }
  const found = await Promise.all(answers);
  for (const { status } of found)
    if (status !== 200) throw new Error(`the quiet client: expected 200, found ${status}`);
  return found.map(({ total }) => total);
}

/** Another process: asks for a hundred times the share, as far as this machine lets it, until it is told to end. */
function makeNoise() {
  const agent = new Agent({ keepAlive: true, localAddress: NOISY, maxSockets: NOISY_CONNECTIONS });
  let url;
  let counted = {};
  let begun = 0;
  let sent = 0;
  let running = 0;
  setInterval(() => {
    if (url === undefined) return;
    const due = Math.floor(((performance.now() - begun) / 1000) * SHARE * TIMES);
    for (; sent < due && running < 4 * NOISY_CONNECTIONS; sent += 1) {
      running += 1;
      get(url, { agent, sink: () => {} })
        .then(({ status }) => (counted[status] = (counted[status] ?? 0) + 1))
        .catch(() => (counted.failed = (counted.failed ?? 0) + 1))
        .finally(() => (running -= 1));
    }
  }, 1);
  process.on('message', (message) => {
    if (message.url === undefined) process.send({ ...counted, seconds: (performance.now() - begun) / 1000 });
    ({ url } = message);
    counted = {};
    sent = 0;
    begun = performance.now();
  });
}

function report(times, noises) {
  const rows = Object.entries(times).map(([id, values]) => ({
    id,
    requests: values.length,
    p50: median(values),
    p99: percentile(values, 0.99),
    noise: noises[id] && perSecond(noises[id]),
  }));
  const [alone] = rows;
  const found = rows.map((row) => ({ ...row, ratio50: row.p50 / alone.p50, ratio99: row.p99 / alone.p99 }));
  if (flags.json) return void process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
  for (const { id, requests, p50, p99, ratio50, ratio99, noise } of found) {
    const beside = noise === undefined ? '' : `; noise a second: ${JSON.stringify(noise)}`;
    process.stdout.write(
      `${id.padEnd(9)} ${requests} requests, p50 ${p50.toFixed(2)} ms (x ${ratio50.toFixed(2)}), p99 ${p99.toFixed(2)} ms (x ${ratio99.toFixed(2)})${beside}\n`,
    );
  }
}

/** Answers to the noisy client, by status. */
function perSecond(rounds) {
  const seconds = rounds.reduce((sum, round) => sum + round.seconds, 0);
  const statuses = new Set(rounds.flatMap(({ seconds: _seconds, ...counts }) => Object.keys(counts)));
  return Object.fromEntries(
    Array.from(statuses, (status) => [
      status,
      Math.round(rounds.reduce((sum, round) => sum + (round[status] ?? 0), 0) / seconds),
    ]),
  );
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, milliseconds));
  });
}
