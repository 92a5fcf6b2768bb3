import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { get } from '../lib/http.mjs';
import { start } from '../lib/processes.mjs';

const ORIGIN = fileURLToPath(new URL('../origin.mjs', import.meta.url));

/** Starts the upstream of all servers. */
export async function launchOrigin() {
  const started = start(process.execPath, [ORIGIN], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const [{ origin }] = await Promise.race([
    once(started.child, 'message'),
    once(started.child, 'exit').then(() => {
      throw new Error(`the origin ended:\n${started.output()}`);
    }),
  ]);
  return {
    started,
    origin,
    npm: `${origin}/npm`,
    files: `${origin}/files`,
    /** How often each path was asked for, since the start. */
    async counts() {
      return JSON.parse((await get(`${origin}/-/counts`)).body);
    },
    async count(path) {
      return (await this.counts())[path] ?? 0;
    },
    /** Makes a body before it is needed. Not counted. @returns the answer. */
    prepare(path, headers = {}) {
      return get(`${origin}${path}`, { headers: { ...headers, 'x-prepare': '1' } });
    },
  };
}
