import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { verdaccioProgram } from '../lib/install.mjs';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';

export const id = 'verdaccio';

let program;

export async function prepare() {
  program = await verdaccioProgram();
  return program.missing ? program : { version: `${program.version}, Node 24` };
}

export async function launch({ origin, folder }) {
  const port = await freePort();
  const configuration = join(folder, 'verdaccio.yaml');
  const settings = {
    storage: join(folder, 'storage'),
    listen: `127.0.0.1:${port}`,
    web: { enable: false },
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    uplinks: { origin: { url: `${origin}/npm/`, maxage: '60m', timeout: '60s' } },
    packages: { '**': { access: '$all', proxy: 'origin' } },
    max_body_size: '100mb',
    userRateLimit: { windowMs: 1000, max: 1_000_000 },
    // Only errors: the nearest that it has to a log that is off.
    log: { type: 'stdout', format: 'json', level: 'fatal' },
  };
  await writeFile(configuration, JSON.stringify(settings, null, 2));
  const since = performance.now();
  const started = start(program.node, [program.path, '-c', configuration], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const base = `http://127.0.0.1:${port}`;
  const startMilliseconds = await waitUntilReady(started, `${base}/-/ping`, since);
  return { id, started, port, startMilliseconds, npm: base, ping: `${base}/-/ping` };
}
