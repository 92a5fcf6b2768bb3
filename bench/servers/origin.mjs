import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { get } from '../lib/http.mjs';
import { start } from '../lib/processes.mjs';

const ORIGIN = fileURLToPath(new URL('../origin.mjs', import.meta.url));

/** Starts the upstream of all servers: `program`, with what it is told by its arguments. */
export async function launchOrigin(program = ORIGIN, argv = []) {
  const started = start(process.execPath, [program, ...argv], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const [{ origin, ...facts }] = await Promise.race([
    once(started.child, 'message'),
    once(started.child, 'exit').then(() => {
      throw new Error(`the origin ended:\n${started.output()}`);
    }),
  ]);
  return {
    ...facts,
    started,
    origin,
    npm: `${origin}/npm`,
    files: `${origin}/files`,
    /** The number of requests for each path since the start. */
    async counts() {
      return JSON.parse((await get(`${origin}/-/counts`)).body);
    },
    async count(path) {
      return (await this.counts())[path] ?? 0;
    },
    /** Counts requests, and bytes of bodies that were sent, for the paths that `matches` takes. */
    async traffic(matches = () => true) {
      const { requests, bytes } = JSON.parse((await get(`${origin}/-/traffic`)).body);
      const sum = (numbers) => Object.entries(numbers).reduce((all, [path, one]) => all + (matches(path) ? one : 0), 0);
      return { requests: sum(requests), bytes: sum(bytes) };
    },
    /** Makes a body before it is needed. Not counted. @returns the answer. */
    prepare(path, headers = {}) {
      return get(`${origin}${path}`, { headers: { ...headers, 'x-prepare': '1' } });
    },
  };
}
