import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { athensProgram, goproxyProgram } from '../lib/install.mjs';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';
import { launchEntrepot, prepare } from '../servers/entrepot.mjs';

/** The settings of `go` that make a server ask the origin for everything, and nothing of this machine's. */
function goSettings({ origin, database }) {
  return {
    GOPROXY: origin,
    GOSUMDB: `${database.verifierKey} ${origin}/sumdb/${database.name}`,
    GOFLAGS: '-modcacherw',
    GONOSUMDB: '',
    GONOPROXY: '',
    GOPRIVATE: '',
    GOTOOLCHAIN: 'local',
  };
}

/** Each has `base`, a GOPROXY. */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ upstream, folder }) {
    const settings = { sumdb: upstream.database.verifierKey, unverified: [], private: [] };
    const repositories = { go: { type: 'go', upstream: upstream.origin, ...settings } };
    const server = await launchEntrepot({ folder, repositories });
    return { ...server, base: `${server.base}/go` };
  },
};

let athensPath;

export const athens = {
  id: 'athens',
  async prepare() {
    const program = await athensProgram();
    athensPath = program.path;
    return program.missing ? program : { version: `${program.version}, disk` };
  },
  async launch({ upstream, folder }) {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const { database } = upstream;
    const storage = join(folder, 'storage');
    const temporary = join(folder, 'temporary');
    await mkdir(storage, { recursive: true });
    await mkdir(temporary, { recursive: true });
    const settings = Object.entries(goSettings(upstream)).map(([name, value]) => `${name}=${value}`);
    const since = performance.now();
    const started = start(athensPath, [], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        TMPDIR: temporary,
        ATHENS_STORAGE_TYPE: 'disk',
        ATHENS_DISK_STORAGE_ROOT: storage,
        ATHENS_PORT: `127.0.0.1:${port}`,
        ATHENS_LOG_LEVEL: 'error',
        ATHENS_GO_BINARY_ENV_VARS: settings.join(';'),
        ...(database.certificate && {
          ATHENS_SUM_DBS: `https://${database.name}`,
          SSL_CERT_FILE: database.certificate,
        }),
      },
    });
    const startMilliseconds = await waitUntilReady(started, `${base}/healthz`, since);
    return { id: 'athens', started, port, startMilliseconds, base };
  },
};

let goproxyPath;

export const goproxy = {
  id: 'goproxy',
  async prepare() {
    const program = await goproxyProgram();
    goproxyPath = program.path;
    return program.missing ? program : { version: `${program.version}, dir` };
  },
  async launch({ upstream, folder }) {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const { origin, database } = upstream;
    const temporary = join(folder, 'temporary');
    await mkdir(temporary, { recursive: true });
    const argv = ['server', '--address', `127.0.0.1:${port}`, '--cacher-dir', join(folder, 'cache')];
    argv.push('--temp-dir', temporary, '--proxied-sumdbs', `${database.name} ${origin}/sumdb/${database.name}`);
    const since = performance.now();
    const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: temporary, ...goSettings(upstream) };
    const started = start(goproxyPath, argv, { cwd: folder, env });
    const startMilliseconds = await waitUntilReady(started, `${base}/healthz`, since);
    return { id: 'goproxy', started, port, startMilliseconds, base };
  },
};
