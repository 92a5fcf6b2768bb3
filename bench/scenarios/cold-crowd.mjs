import { inTurn } from '../lib/crowd.mjs';
import { sha256, tarball } from '../lib/fixtures.mjs';
import { get, keepAliveAgent } from '../lib/http.mjs';
import { cpuSeconds } from '../lib/processes.mjs';
import { percentile, rotated, summarise } from '../lib/statistics.mjs';

const PEERS = ['entrepot', 'verdaccio', 'nginx'];
const CLIENTS = 32;
const KILOBYTES = 10;
const OBJECTS = 1500;
const WARM_UP = 200;

/** Many clients, each after the next small thing that nobody has asked for: a CI runner with an empty cache. */
export const coldCrowd = {
  id: 'cold-crowd',
  title: `${CLIENTS} clients on cold tarballs of ${KILOBYTES} KB, their packuments cold too`,
  async run(bench) {
    const servers = [];
    for (const id of PEERS.filter((id) => bench.has(id))) servers.push(await bench.server(id));
    const count = bench.options.quick ? OBJECTS / 3 : OBJECTS;
    const samples = new Map(servers.map(({ id }) => [id, []]));
    const agent = keepAliveAgent(CLIENTS);
    try {
      for (let turn = -1; turn < Math.min(3, bench.options.runs) && bench.timeLeft(); turn++) {
        // The first turn does not count: JIT, folders, connections.
        const names = Array.from(
          { length: turn < 0 ? WARM_UP : count },
          (_, at) => `tarball-${KILOBYTES}-c${turn + 1}x${at}`,
        );
        for (const name of names) {
          for (const path of ['', '/1.0.0', `/-/${name}-1.0.0.tgz`]) await bench.origin.prepare(`/npm/${name}${path}`);
        }
        for (const server of rotated(servers, Math.max(turn, 0))) {
          const cpu = cpuSeconds(server.started.pid);
          const since = performance.now();
          const answers = await inTurn(names.length, CLIENTS, (at) => {
            const name = names[at];
            return get(`${server.npm}/${name}/-/${name}-1.0.0.tgz`, { agent });
          });
          const seconds = (performance.now() - since) / 1000;
          const used = cpuSeconds(server.started.pid) - cpu;
          const wrong = answers.findIndex(
            ({ status, body }, at) => status !== 200 || sha256(body) !== sha256(tarball(names[at], '1.0.0')),
          );
          if (wrong >= 0) throw new Error(`${server.id}: ${names[wrong]}: ${answers[wrong].status}, or other bytes`);
          if (turn < 0) continue;
          const totals = answers.map(({ total }) => total);
          samples.get(server.id).push({
            requestsPerSecond: names.length / seconds,
            p50: percentile(totals, 0.5),
            p99: percentile(totals, 0.99),
            cpuPerRequest: (used * 1000) / names.length,
          });
        }
      }
    } finally {
      agent.destroy();
    }
    return {
      kind: 'requestsPerSecond',
      notes: ['the clients are one Node process, which takes its share of the cores'],
      rows: servers.map(({ id }) => summarise(id, samples.get(id), 'requestsPerSecond')),
      bars: [{ least: 1500, of: 'requestsPerSecond', unit: 'tarballs/s' }],
    };
  },
};
