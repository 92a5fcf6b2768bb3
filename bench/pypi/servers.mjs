import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { devpiProgram, proxpiProgram } from '../lib/install.mjs';
import { freePort, run, start, waitUntilReady } from '../lib/processes.mjs';
import { launchEntrepot, prepare } from '../servers/entrepot.mjs';

const HOUR = 3600;
const SETUP_TIMEOUT = 60_000;

/** Each has `page(project)`, the URL of a project's page. `freshFor`: seconds for which pages are fresh. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ origin, folder, freshFor = HOUR }) {
    const cache = { simple: { freshFor: `${freshFor}s` }, index: { freshFor: `${freshFor}s` } };
    const repositories = { pypi: { type: 'pypi', upstream: origin, cache } };
    const server = await launchEntrepot({ folder, repositories });
    return { ...server, page: (project) => `${server.base}/pypi/simple/${project}/` };
  },
};

let devpiFolder;

export const devpi = {
  id: 'devpi',
  async prepare() {
    const program = await devpiProgram();
    devpiFolder = program.path;
    return program.missing ? program : { version: `${program.version}, waitress, 50 threads` };
  },
  async launch({ origin, folder, freshFor = HOUR }) {
    const data = join(folder, 'data');
    const logging = join(folder, 'logging.json');
    const quiet = { version: 1, disable_existing_loggers: false, root: { level: 'CRITICAL', handlers: [] } };
    await writeFile(logging, JSON.stringify(quiet));
    const setup = ['--serverdir', data, '--no-root-pypi', '--root-passwd', 'bench'];
    const made = await run(join(devpiFolder, 'devpi-init'), setup, { cwd: folder, timeout: SETUP_TIMEOUT });
    if (made.code !== 0) throw new Error(`devpi-init: ${made.output}`);
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const since = performance.now();
    const argv = ['--serverdir', data, '--host', '127.0.0.1', '--port', String(port), '--logger-cfg', logging];
    const started = start(join(devpiFolder, 'devpi-server'), [...argv, '--enable-core-metadata', '--requests-only'], {
      cwd: folder,
    });
    const startMilliseconds = await waitUntilReady(started, `${base}/+api`, since);
    const token = await logIn(base);
    await send('PUT', `${base}/root/bench`, {
      headers: { 'x-devpi-auth': token },
      body: {
        type: 'mirror',
        mirror_url: `${origin}/simple/`,
        mirror_cache_expiry: freshFor,
        mirror_provides_core_metadata: true,
      },
    });
    return {
      id: 'devpi',
      started,
      port,
      startMilliseconds,
      base,
      page: (project) => `${base}/root/bench/+simple/${project}/`,
    };
  },
};

async function logIn(base) {
  const { result } = await send('POST', `${base}/+login`, { body: { user: 'root', password: 'bench' } });
  return Buffer.from(`root:${result.password}`).toString('base64');
}

async function send(method, url, { headers = {}, body }) {
  const options = {
    method,
    headers: { ...headers, 'content-type': 'application/json', accept: 'application/json', connection: 'close' },
    body: JSON.stringify(body),
  };
  const response = await fetch(url, options);
  const text = await response.text();
  if (!response.ok) throw new Error(`devpi: ${method} ${new URL(url).pathname}: ${response.status}: ${text}`);
  return JSON.parse(text);
}

let proxpiFolder;

export const proxpi = {
  id: 'proxpi',
  async prepare() {
    const program = await proxpiProgram();
    proxpiFolder = program.path;
    return program.missing ? program : { version: `${program.version}, gunicorn, 1 worker of 8 threads` };
  },
  async launch({ origin, folder, freshFor = HOUR }) {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const cache = join(folder, 'cache');
    await mkdir(cache, { recursive: true });
    const argv = ['--bind', `127.0.0.1:${port}`, '--workers', '1', '--threads', '8', '--worker-class', 'gthread'];
    const since = performance.now();
    const quiet = ['--keep-alive', '120', '--timeout', '120', '--log-level', 'critical'];
    const started = start(join(proxpiFolder, 'gunicorn'), [...argv, ...quiet, 'proxpi.server:app'], {
      cwd: folder,
      env: {
        ...process.env,
        PROXPI_INDEX_URL: `${origin}/simple/`,
        PROXPI_INDEX_TTL: String(freshFor),
        PROXPI_CACHE_DIR: cache,
        PROXPI_CACHE_SIZE: String(5e9),
        // By default it sends clients to the upstream for what takes longer than 0.9 s.
        PROXPI_DOWNLOAD_TIMEOUT: '60',
        PROXPI_LOGGING_LEVEL: 'CRITICAL',
      },
    });
    const startMilliseconds = await waitUntilReady(started, `${base}/health`, since);
    return { id: 'proxpi', started, port, startMilliseconds, base, page: (project) => `${base}/index/${project}/` };
  },
};
