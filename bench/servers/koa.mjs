import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort, start, waitUntilReady } from '../lib/processes.mjs';

const SERVER = fileURLToPath(new URL('koa-server.mjs', import.meta.url));
/** Made by node:http itself for every answer. */
const OWN_HEADERS = new Set(['connection', 'keep-alive', 'date', 'transfer-encoding']);

export const id = 'koa';

export async function prepare() {
  return { version: `Node ${process.version}` };
}

export async function launch({ folder }) {
  const port = await freePort();
  const since = performance.now();
  const started = start(process.execPath, [SERVER, String(port)], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const base = `http://127.0.0.1:${port}`;
  const startMilliseconds = await waitUntilReady(started, `${base}/-/ping`, since);
  return {
    id,
    started,
    port,
    startMilliseconds,
    base,
    ping: `${base}/-/ping`,
    copy: (...argv) => copy(started, ...argv),
  };
}

/** Gives it the very bytes and headers that another server answered with. */
async function copy(started, path, encoding, answer) {
  const headers = {};
  for (const [name, value] of Object.entries(answer.headers)) if (!OWN_HEADERS.has(name)) headers[name] = value;
  const stored = once(started.child, 'message');
  started.child.send({ path, encoding, headers, body: answer.body.toString('base64') });
  await stored;
}
