import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';

const MAIN = fileURLToPath(new URL('../../deploy/npm/bin/entrepot.js', import.meta.url));

export const id = 'entrepot';

export async function prepare() {
  const found = await access(MAIN).then(
    () => true,
    () => false,
  );
  return found ? { version: `Node ${process.version}` } : { missing: `${MAIN} is not built (npx tsc -b)` };
}

/**
 * Entrepot with these repositories. `more`: other keys of its configuration; `nodeArguments`: for a profiler; `main`: of another
 * checkout; `port`: that `more` names.
 */
export async function launchEntrepot({
  folder,
  repositories,
  more = {},
  nodeArguments = [],
  main = MAIN,
  port: wanted,
}) {
  const port = wanted ?? (await freePort());
  const configuration = join(folder, 'entrepot.yaml');
  const settings = {
    server: { listen: `127.0.0.1:${port}` },
    storage: { backend: 'filesystem', path: join(folder, 'blobs') },
    metadata: { backend: 'sqlite', path: join(folder, 'entrepot.db') },
    log: { access: false, level: 'warn' },
    repositories,
    ...more,
  };
  // JSON is YAML.
  await writeFile(configuration, JSON.stringify(settings, null, 2));
  const since = performance.now();
  const started = start(process.execPath, [...nodeArguments, main, 'serve', '-c', configuration], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const base = `http://127.0.0.1:${port}`;
  const startMilliseconds = await waitUntilReady(started, `${base}/-/readyz`, since);
  return { id, started, port, startMilliseconds, base, ping: `${base}/-/livez` };
}

/** `nodeArguments`: for a profiler. */
export async function launch({ origin, folder, nodeArguments }) {
  const repositories = {
    npm: { type: 'npm', upstream: `${origin}/npm`, cache: { packument: { freshFor: '1h' } } },
    files: { type: 'files', upstream: `${origin}/files`, rules: [{ match: '**', policy: 'immutable' }] },
  };
  const { base, ...server } = await launchEntrepot({ folder, repositories, nodeArguments });
  return { ...server, npm: `${base}/npm`, files: `${base}/files` };
}
