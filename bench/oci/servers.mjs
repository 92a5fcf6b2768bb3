import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pushSet } from '@entrepot/fixtures/push-images';
import { provideTool } from '@entrepot/fixtures/tools';
import { freePort, run, start, waitUntilReady } from '../lib/processes.mjs';
import { launchEntrepot, prepare } from '../servers/entrepot.mjs';
import { warmImage } from './fixtures.mjs';

/**
 * Each has `pull`, the URL below which the images are of the upstream or, for one that is no proxy, were pushed; those
 * that take pushes have `push` and its `prefix`, the URL and what names begin with there.
 */
export const entrepot = {
  id: 'entrepot',
  prepare,
  async launch({ upstream, folder }) {
    const repositories = {
      hub: { type: 'oci', upstream: upstream.origin },
      local: { type: 'oci', kind: 'hosted', access: { anonymous: 'write' } },
    };
    const server = await launchEntrepot({ folder, repositories });
    return { ...server, pull: `${server.base}/v2/hub`, push: server.base, prefix: 'local/' };
  },
};

const programs = new Map();

async function prepareTool(name, versionArgument) {
  const program = await provideTool(name);
  if (program === undefined) return { missing: `${name} is not on this machine` };
  programs.set(name, program);
  const { output } = await run(program, [versionArgument]);
  return { version: /v?\d+\.\d+\.\d+/.exec(output)?.[0] ?? 'unknown version' };
}

/** A registry of the distribution project; `isProxy`: its pull-through cache, which takes no pushes. */
function distributionServer(id, tool, isProxy) {
  return {
    id,
    async prepare() {
      return prepareTool(tool, '--version');
    },
    async launch({ upstream, folder }) {
      const port = await freePort();
      const base = `http://127.0.0.1:${port}`;
      const root = join(folder, 'registry');
      const configuration = {
        version: '0.1',
        log: { level: 'error', accesslog: { disabled: true } },
        storage: {
          filesystem: { rootdirectory: root },
          cache: { blobdescriptor: 'inmemory' },
          delete: { enabled: true },
          maintenance: { uploadpurging: { enabled: false } },
        },
        http: { addr: `127.0.0.1:${port}` },
        ...(isProxy && { proxy: { remoteurl: upstream.origin } }),
      };
      const file = join(folder, 'registry.yml');
      // JSON is YAML.
      await writeFile(file, JSON.stringify(configuration));
      const since = performance.now();
      const started = start(programs.get(tool), ['serve', file], {
        cwd: folder,
        env: { OTEL_TRACES_EXPORTER: 'none' },
      });
      const startMilliseconds = await waitUntilReady(started, `${base}/v2/`, since);
      const server = { id, started, port, startMilliseconds, pull: `${base}/v2`, root };
      if (isProxy) return server;
      await pushSet(base, warmImage(), undefined);
      return { ...server, push: base, prefix: '' };
    },
  };
}

export const distribution = distributionServer('distribution', 'distribution', true);
export const distributionHosted = distributionServer('distribution-hosted', 'distribution', false);
export const dockerRegistry = distributionServer('docker-registry', 'docker-registry', true);

export const zot = {
  id: 'zot',
  async prepare() {
    const { missing } = await prepareTool('zot', '--version');
    return missing ? { missing } : { version: '2.1.20, sync on demand' };
  },
  async launch({ upstream, folder }) {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}`;
    const root = join(folder, 'zot');
    await mkdir(root, { recursive: true });
    const registry = {
      urls: [upstream.origin],
      onDemand: true,
      tlsVerify: false,
      maxRetries: 1,
      retryDelay: '1s',
      content: [{ prefix: '**' }],
    };
    const configuration = {
      distSpecVersion: '1.1.1',
      storage: { rootDirectory: root, gc: false, dedupe: false },
      http: { address: '127.0.0.1', port: String(port) },
      log: { level: 'error' },
      extensions: { sync: { enable: true, registries: [registry] } },
    };
    const file = join(folder, 'zot.json');
    await writeFile(file, JSON.stringify(configuration));
    const since = performance.now();
    const started = start(programs.get('zot'), ['serve', file], { cwd: folder, env: { HOME: folder, TMPDIR: folder } });
    const startMilliseconds = await waitUntilReady(started, `${base}/v2/`, since);
    return { id: 'zot', started, port, startMilliseconds, pull: `${base}/v2`, push: base, prefix: 'pushed/' };
  },
};
