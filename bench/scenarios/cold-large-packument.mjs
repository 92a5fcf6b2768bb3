import { packumentDigest } from '../lib/fixtures.mjs';
import { decoded, get, keepAliveAgent } from '../lib/http.mjs';
import { percentile, rotated, summarise } from '../lib/statistics.mjs';

const HEADERS = { accept: 'application/json', 'accept-encoding': 'gzip' };

/** A cold document of 9.7 MB: how long its client waits, and how long everybody else waits meanwhile. */
export const coldLargePackument = {
  id: 'cold-packument-9700',
  title: 'Cold packument of 9.7 MB, and a ping beside it (the delay of the event loop)',
  async run(bench) {
    const servers = [];
    for (const id of ['entrepot', 'verdaccio', 'nginx'].filter((id) => bench.has(id)))
      servers.push(await bench.server(id));
    const samples = new Map(servers.map((server) => [server.id, []]));
    for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
      const path = `/versions-1500-c${turn}`;
      const expected = packumentDigest(decoded(await bench.origin.prepare(`/npm${path}`, HEADERS)));
      for (const server of rotated(servers, turn)) {
        const pings = startPings(server.ping);
        const answer = await get(`${server.npm}${path}`, { headers: HEADERS });
        const delays = await pings.stop();
        if (packumentDigest(decoded(answer)) !== expected) throw new Error(`${server.id}: ${path} is not the origin's`);
        samples.get(server.id).push({
          milliseconds: answer.total,
          firstByte: answer.firstByte,
          pingP99: percentile(delays, 0.99),
          pingWorst: Math.max(...delays),
        });
      }
    }
    return {
      kind: 'milliseconds',
      rows: servers.map(({ id }) => summarise(id, samples.get(id), 'milliseconds')),
      bars: [],
    };
  },
};

/** Small requests one after the other on one connection, until stopped. @returns their times in milliseconds. */
function startPings(url) {
  const agent = keepAliveAgent();
  const delays = [];
  const stopping = new AbortController();
  const ended = (async () => {
    while (!stopping.signal.aborted) delays.push((await get(url, { agent })).total);
    agent.destroy();
  })();
  return {
    async stop() {
      stopping.abort();
      await ended;
      return delays;
    },
  };
}
