import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/**
 * The functions of this repository that ran for one request: of several runs, the one with the fewest.
 * @typedef {object} Trace
 * @property {string} request
 * @property {number} files
 * @property {number} functions
 * @property {number[]} runs how many functions each request of the same kind had, fewest first
 * @property {Record<string, string[]>} names the functions by file
 */

const DOCUMENT = { accept: 'application/json', 'accept-encoding': 'gzip' };
/** Unrelated requests of the same kind before the one that is measured, so that code of the first time is not counted. */
const WARM_UP = 4;
/** After the reply, work that belongs to the request may go on: bytes are published, an index is written. */
const SETTLE = 300;
/** Periodic work of the server falls into some of the runs: it can only add to what the request itself needs. */
const RUNS = 9;
/** A step from run to run, so that periodic work does not keep in step with them. */
const SHIFT = 70;

/**
 * Counts what runs in the built server (`dist`) for a warm tarball and for a cold packument of 165 KB, by V8's precise
 * coverage. Threads of their own and the upstream, which is another process, are not counted.
 * @param {string} root the folder of the repository
 * @returns {Promise<Trace[]>}
 */
export async function measureRequests(root) {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-house-'));
  const upstream = fork(join(root, 'bench/origin.mjs'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const session = new Session();
  /** @type {{ close(): Promise<void> } | undefined} */
  let host;
  try {
    const [{ origin }] = await once(upstream, 'message');
    const file = join(folder, 'entrepot.yaml');
    writeFileSync(file, JSON.stringify(configuration(folder, origin)));
    const { createHost, loadConfig } = await import(pathToFileURL(join(root, 'host/dist/index.js')).href);
    const opened = await createHost(await loadConfig({ file, env: {}, cwd: folder }));
    host = opened;
    const [{ url }] = await opened.listen();
    const base = `${url.replace(/\/$/, '')}/npm`;
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });

    const tarball = `${base}/tarball-300/-/tarball-300-1.0.0.tgz`;
    await ask(`${base}/tarball-300`, agent, DOCUMENT);
    for (let turn = 0; turn < WARM_UP; turn += 1) await ask(tarball, agent);
    const hit = await traced('warm tarball', () => ask(tarball, agent), { again: true });
    for (let turn = 0; turn < WARM_UP; turn += 1) await ask(`${base}/versions-133-w${turn}`, agent, DOCUMENT);
    const cold = await traced('cold packument', (run) => ask(`${base}/versions-133-c${run}`, agent, DOCUMENT));
    return [hit, cold];
  } finally {
    session.disconnect();
    agent.destroy();
    await host?.close();
    upstream.disconnect();
    rmSync(folder, { recursive: true, force: true });
  }

  /**
   * @param {string} request
   * @param {(run: number) => Promise<void>} act
   * @param {{ again?: boolean }} options `again`: the same request comes just before, uncounted, as under load
   * @returns {Promise<Trace>}
   */
  async function traced(request, act, { again = false } = {}) {
    const runs = [];
    for (let run = 0; run < RUNS; run += 1) {
      await delay(run * SHIFT);
      if (again) await act(run);
      await delay(SETTLE);
      // Reading the counters sets them to zero.
      await session.post('Profiler.takePreciseCoverage');
      await act(run);
      await delay(SETTLE);
      const { result } = await session.post('Profiler.takePreciseCoverage');
      const names = functionsOf(result, pathToFileURL(root).href);
      runs.push({ names, files: Object.keys(names).length, functions: Object.values(names).flat().length });
    }
    runs.sort((one, other) => one.functions - other.functions);
    const [fewest] = runs;
    if (fewest === undefined) throw new Error(`${request}: expected ${RUNS} runs, found none`);
    return { request, ...fewest, runs: runs.map(({ functions }) => functions) };
  }
}

/**
 * The functions of the repository's built files that were called, by file.
 * @param {import('node:inspector').Profiler.ScriptCoverage[]} scripts
 * @param {string} root as a URL
 * @returns {Record<string, string[]>}
 */
function functionsOf(scripts, root) {
  /** @type {Record<string, string[]>} */
  const names = {};
  for (const { url, functions } of scripts) {
    const path = url.slice(root.length + 1);
    if (!url.startsWith(`${root}/`) || !path.includes('/dist/') || path.includes('node_modules/')) continue;
    const called = functions.flatMap(({ functionName, ranges: [whole] }) => {
      // The module itself begins at 0: it runs when it is loaded.
      if (whole === undefined || whole.count === 0 || whole.startOffset === 0) return [];
      return [functionName || `(anonymous at ${whole.startOffset})`];
    });
    if (called.length > 0) names[path] = called;
  }
  return names;
}

/**
 * @param {string} folder
 * @param {string} origin
 */
function configuration(folder, origin) {
  return {
    server: { listen: '127.0.0.1:0' },
    storage: { backend: 'filesystem', path: join(folder, 'blobs') },
    metadata: { backend: 'sqlite', path: join(folder, 'entrepot.db') },
    log: { access: false, level: 'warn' },
    repositories: { npm: { type: 'npm', upstream: `${origin}/npm`, cache: { packument: { freshFor: '1h' } } } },
  };
}

/**
 * @param {string} url
 * @param {Agent} agent
 * @param {Record<string, string>} headers
 * @returns {Promise<void>}
 */
function ask(url, agent, headers = {}) {
  return new Promise((resolve, reject) => {
    get(url, { agent, headers }, (response) => {
      response.resume();
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${url}: expected 200, found ${response.statusCode}`));
      });
    }).on('error', reject);
  });
}
