import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { CHART } from '@entrepot/fixtures/helm-chart';
import { bytesOf } from '@entrepot/fixtures/named-objects';
import { Origin } from '@entrepot/fixtures/origin';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { PrometheusServer } from '../servers/prometheus.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

const QUOTA = 2 ** 20;
const API = '/-/api/v1';
const POLICY = {
  version: 1,
  rules: [
    { id: 'no-two', match: { purl: ['pkg:npm/tool@2.0.0'] }, action: 'deny' },
    { id: 'malware', when: { malicious: true }, action: 'deny' },
  ],
};
/** Ranges of queries, shorter than in a dashboard: nobody waits for hours here. */
const VARIABLES = { $job: 'entrepot', $repository: '.*', $__rate_interval: '15s', $__range: '1m' };
/** Metrics without a value here, and the reason. */
const LEFT_OUT = new Map([
  ['entrepot_shared_cache_requests_total', 'it is of Redis'],
  ['entrepot_repository_roots', 'it is of Linux repositories'],
  ['entrepot_scan_reports', 'it is of scanners that keep reports'],
]);
/** Milliseconds. */
const PATIENCE = 90_000;

/**
 * The dashboard and the alert rules at a Prometheus that reads the metrics of a server: each query has data, alerts are raised by what they are
 * for, and end with it. Times of the rules are shortened.
 * @param {Tally} tally
 */
export async function prometheus(tally) {
  const program = await provideTool('prometheus');
  if (program === undefined) {
    note('no prometheus on this machine: the dashboard and the alerts are left out');
    return;
  }
  await withScratch('prometheus', async (folder) => {
    const upstream = await new Upstream().start();
    const scene = { tally, folder, upstream, server: await serverOf(folder, upstream) };
    const watcher = new PrometheusServer(program, join(folder, 'prometheus'));
    try {
      await scene.server.start();
      await watcher.start({ target: scene.server.port, rules: await shortRules() });
      await use(scene);
      await tally.check('prometheus: each query of the dashboard has data', () => checkDashboard(watcher));
      for (const alert of alertsOf(scene)) {
        await tally.check(`prometheus: ${alert.name} is raised by what it is for, and ends with it`, () =>
          raise(watcher, alert),
        );
      }
    } finally {
      await watcher.stop();
      await scene.server.kill();
      await upstream.stop();
    }
  });
}

/** @typedef {{ folder: string, server: EntrepotServer, upstream: Upstream }} Scene */

/** An npm registry with one package, whose third version is not what it promises. */
class Upstream {
  fails = false;
  #origin = new Origin((request, response) => {
    const path = request.url ?? '';
    response.setHeader('ratelimit-remaining', '100;w=60');
    if (this.fails) return response.writeHead(503).end();
    const [, version] = /^\/tool\/-\/tool-(.*)\.tgz$/.exec(path) ?? [];
    if (version !== undefined) return response.end(bytesOf(version, 20_000));
    if (path !== '/tool') return response.writeHead(404).end();
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify(this.#packument()));
  });

  async start() {
    await this.#origin.start();
    return this;
  }

  stop() {
    return this.#origin.stop();
  }

  get url() {
    return this.#origin.url;
  }

  #packument() {
    const versions = ['1.0.0', '2.0.0', '3.0.0'].map((version) => {
      const promised = bytesOf(version === '3.0.0' ? 'other bytes' : version, 20_000);
      const integrity = `sha512-${createHash('sha512').update(promised).digest('base64')}`;
      return [
        version,
        { name: 'tool', version, dist: { tarball: `${this.url}/tool/-/tool-${version}.tgz`, integrity } },
      ];
    });
    return { name: 'tool', 'dist-tags': { latest: '1.0.0' }, versions: Object.fromEntries(versions) };
  }
}

/** @param {string} folder @param {Upstream} upstream */
async function serverOf(folder, upstream) {
  const advisories = join(folder, 'advisories/npm');
  await mkdir(advisories, { recursive: true });
  const affected = [{ package: { ecosystem: 'npm', name: 'other' }, ranges: [], versions: ['1.0.0'] }];
  const advisory = { id: 'TEST-2026-0001', modified: new Date().toISOString(), summary: 'a flaw', affected };
  await writeFile(join(advisories, `${advisory.id}.json`), JSON.stringify(advisory));
  await writeFile(join(folder, 'policy.yaml'), JSON.stringify(POLICY));
  const scanner = {
    type: 'osv',
    from: join(folder, 'advisories'),
    ecosystems: ['npm'],
    directory: join(folder, 'osv'),
  };
  return new EntrepotServer({
    folder,
    port: await freePort(),
    repositories: {
      npm: { type: 'npm', upstream: upstream.url, cache: { packument: { freshFor: 0 } } },
      uploads: { type: 'files', kind: 'hosted', quota: QUOTA },
    },
    // Of two processes, so that there is a cluster.
    more: {
      server: { workers: 2 },
      storage: { path: join(folder, 'data/blobs'), maxBytes: '1GiB' },
      // Lost bytes come from the upstream, and not from memory.
      cache: { maxBytes: 0 },
      policy: { file: join(folder, 'policy.yaml') },
      scanners: [scanner],
    },
  });
}

/** Asks a server for all that the dashboard shows. @param {Scene} scene */
async function use({ folder, server }) {
  await until('the database of advisories', async () => {
    const { scanners } = await api(server, 'GET', '/scans');
    return scanners[0].databaseDate !== undefined;
  });
  for (let round = 0; round < 3; round += 1) {
    for (const path of ['tool', 'tool/-/tool-1.0.0.tgz', 'tool/-/tool-2.0.0.tgz', 'tool/-/tool-3.0.0.tgz', 'nothing'])
      await get(`${server.url}/npm/${path}`);
    await get(`${server.url}/uploads/file-${round}`, { method: 'PUT', body: bytesOf(`upload ${round}`, 1000) });
    await delay(1_500);
  }
  // The first one comes again from the upstream, the other one is lost.
  for (const body of [bytesOf('1.0.0', 20_000), bytesOf('upload 2', 1000)]) {
    const digest = createHash('sha256').update(body).digest('hex');
    await rm(join(folder, 'data/blobs/v1/sha256', digest.slice(0, 2), digest));
  }
  await api(server, 'POST', '/verify', {});
  // Only the process that was asked tells how far it is.
  await until('the verification', async () => (await server.metric('entrepot_healed_blobs_total')) === 1);
  await api(server, 'POST', '/purge', { subject: 'npm/packument/tool' });
  await get(`${server.url}/npm/tool/-/tool-1.0.0.tgz`);
}

/** @param {PrometheusServer} watcher */
async function checkDashboard(watcher) {
  const { panels } = JSON.parse(await readFile(join(CHART, 'files/dashboard.json'), 'utf8'));
  const queries = panels.flatMap((/** @type {any} */ { title, targets = [] }) =>
    targets.map((/** @type {any} */ { expr }) => ({ title, expr })),
  );
  assert.ok(queries.length > 40);
  /** @type {Set<string>} */
  const empty = new Set();
  await until('data for each query', async () => {
    empty.clear();
    for (const { title, expr } of queries) {
      const isLeftOut = [...LEFT_OUT.keys()].some((metric) => expr.includes(metric));
      if (!isLeftOut && (await watcher.query(filledIn(expr))).length === 0) empty.add(`${title}: ${expr}`);
    }
    return empty.size === 0;
  }).catch((error) => {
    throw new Error(`${error.message}; without data:\n${[...empty].join('\n')}`);
  });
  note(`prometheus: ${queries.length} queries; left out: ${[...LEFT_OUT].map((one) => one.join(', for ')).join('; ')}`);
}

/** @param {string} expression of a dashboard */
function filledIn(expression) {
  let filled = expression;
  for (const [name, value] of Object.entries(VARIABLES)) filled = filled.replaceAll(name, value);
  return filled;
}

/** The rules with seconds in place of minutes, hours and days. */
async function shortRules() {
  const rules = await readFile(join(CHART, 'files/rules.yaml'), 'utf8');
  return rules.replaceAll(/\[\d+[mhd]\]/g, '[15s]').replaceAll(/^( +for: )\d+[mhd]$/gm, '$12s');
}

/**
 * @typedef {object} Raised
 * @property {string} name
 * @property {() => unknown} begin
 * @property {() => unknown} end
 * @property {() => unknown} [meanwhile] is done again and again until it fires, and until it has ended
 */

/** @param {Scene} scene @returns {readonly Raised[]} */
function alertsOf({ folder, server, upstream }) {
  const ask = (/** @type {string} */ path) => get(`${server.url}/npm/${path}`);
  const ofNew = () => ask(`new-${Math.random().toString(36).slice(2)}`);
  return [
    {
      name: 'EntrepotUpstreamDown',
      begin: () => (upstream.fails = true),
      end: () => (upstream.fails = false),
      meanwhile: ofNew,
    },
    {
      name: 'EntrepotUpstreamFails',
      begin: () => (upstream.fails = true),
      end: () => (upstream.fails = false),
      meanwhile: ofNew,
    },
    {
      name: 'EntrepotRequestsFail',
      begin: () => (upstream.fails = true),
      end: () => (upstream.fails = false),
      meanwhile: ofNew,
    },
    { name: 'EntrepotIntegrityFailure', begin: () => ask('tool/-/tool-3.0.0.tgz'), end: () => {} },
    {
      name: 'EntrepotQuotaNearlyUsed',
      begin: () => get(`${server.url}/uploads/large`, { method: 'PUT', body: Buffer.alloc(QUOTA * 0.95) }),
      end: () => get(`${server.url}/uploads/large`, { method: 'DELETE' }),
    },
    {
      name: 'EntrepotPolicyFileInvalid',
      begin: () => writeFile(join(folder, 'policy.yaml'), 'rules: [{ id: broken'),
      end: () => writeFile(join(folder, 'policy.yaml'), JSON.stringify(POLICY)),
    },
    { name: 'EntrepotDown', begin: () => server.stop(), end: () => server.start() },
  ];
}

/** @param {PrometheusServer} watcher @param {Raised} alert */
async function raise(watcher, { name, begin, end, meanwhile }) {
  const isFiring = async () => (await watcher.firing()).some(({ labels }) => labels['alertname'] === name);
  // Effects of the checks before may still be within their time.
  await until(`the end of ${name} from before`, async () => !(await isFiring()));
  await begin();
  try {
    await until(`${name}`, async () => {
      await meanwhile?.();
      return await isFiring();
    });
  } finally {
    await end();
  }
  await until(`the end of ${name}`, async () => {
    await meanwhile?.();
    return !(await isFiring());
  });
}

/** @param {EntrepotServer} server @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
async function api(server, method, path, body) {
  const answer = await get(`${server.url}${API}${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  assert.ok(answer.status < 300, answer.body.toString());
  return JSON.parse(answer.body.toString());
}

/** @param {string} what @param {() => Promise<boolean>} check */
async function until(what, check) {
  const deadline = performance.now() + PATIENCE;
  while (!(await check())) {
    assert.ok(performance.now() < deadline, `${what} was expected within ${PATIENCE} ms`);
    await delay(500);
  }
}
