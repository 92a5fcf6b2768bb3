import { createHash } from 'node:crypto';
import { packumentDigest, sha256 } from '../lib/fixtures.mjs';
import { decoded, get, keepAliveAgent } from '../lib/http.mjs';
import { median, rotated, summarise } from '../lib/statistics.mjs';

const CLIENTS = 50;
const GZIP = { 'accept-encoding': 'gzip' };
const TRICKLE_BYTES = 16 * 1024 * 1024;

/** Many clients on one cold name. How often is the origin asked? */
export const bursts = [
  {
    id: 'burst-packument',
    title: `${CLIENTS} clients at once on one cold packument (165 KB, the origin takes 200 ms)`,
    run: (bench) =>
      runBurst(bench, 'npm', ['entrepot', 'verdaccio', 'nginx'], (turn, id) => {
        const name = `slow-200-versions-133-b${turn}${id.replace(/\W/g, '')}`;
        return { path: `/${name}`, headers: GZIP, digest: packumentDigest };
      }),
  },
  {
    id: 'burst-tarball',
    title: `${CLIENTS} clients at once on one cold tarball (300 KB, the origin takes 200 ms), packument warm`,
    run: (bench) =>
      runBurst(bench, 'npm', ['entrepot', 'verdaccio', 'nginx'], (turn, id) => {
        const name = `slow-200-tarball-300-b${turn}${id.replace(/\W/g, '')}`;
        return { warm: `/${name}`, path: `/${name}/-/${name}-1.0.0.tgz`, headers: {} };
      }),
  },
  {
    id: 'fan-out',
    title: `${CLIENTS} clients at once on one cold file of 16 MiB that the origin trickles`,
    run: runFanOut,
  },
];

async function runBurst(bench, mount, wanted, nameOf) {
  const servers = [];
  for (const id of wanted.filter((id) => bench.has(id))) servers.push(await bench.server(id));
  const samples = new Map(servers.map((server) => [server.id, []]));
  for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
    for (const server of rotated(servers, turn)) {
      const { path, warm, headers, digest = sha256 } = nameOf(turn, server.id);
      await bench.origin.prepare(`/${mount}${path}`, headers);
      if (warm) await get(`${server[mount]}${warm}`, { headers: GZIP });
      const before = await bench.origin.count(`/${mount}${path}`);
      const answers = await crowd(() => get(`${server[mount]}${path}`, { headers, agent: crowdAgent }));
      const good = answers.filter((answer) => answer.status === 200);
      const bodies = new Set(good.map((answer) => digest(decoded(answer))));
      if (bodies.size !== 1) throw new Error(`${server.id}: expected one body for ${path}, found ${bodies.size}`);
      samples.get(server.id).push({
        upstreamRequests: (await bench.origin.count(`/${mount}${path}`)) - before,
        milliseconds: median(good.map((answer) => answer.total)),
        last: Math.max(...good.map((answer) => answer.total)),
        failed: answers.length - good.length,
      });
    }
  }
  return {
    kind: 'upstreamRequests',
    rows: servers.map(({ id }) => summarise(id, samples.get(id), 'upstreamRequests')),
    bars: [{ most: 1, of: 'high', unit: 'upstream requests' }],
  };
}

const crowdAgent = keepAliveAgent(CLIENTS);

/** All at once; a failed one counts, it does not end the others. */
async function crowd(one) {
  return Promise.all(
    Array.from({ length: CLIENTS }, () => one().catch((error) => ({ status: 0, error, body: Buffer.alloc(0) }))),
  );
}

async function runFanOut(bench) {
  const duration = bench.options.quick ? 2_000 : 8_000;
  const rows = [];
  for (const id of ['entrepot', 'nginx'].filter((id) => bench.has(id))) {
    const server = await bench.server(id);
    const path = `/trickle-${TRICKLE_BYTES}-${duration}-${id}`;
    const digests = [];
    const answers = await crowd(async () => {
      const hash = createHash('sha256');
      const answer = await get(`${server.files}${path}`, { agent: crowdAgent, sink: (chunk) => hash.update(chunk) });
      digests.push(hash.digest('hex'));
      return answer;
    });
    const good = answers.filter((answer) => answer.status === 200);
    if (new Set(digests).size !== 1) throw new Error(`${id}: expected the same bytes for all clients`);
    const sample = {
      firstByte: median(good.map((answer) => answer.firstByte)),
      milliseconds: median(good.map((answer) => answer.total)),
      upstreamRequests: await bench.origin.count(`/files${path}`),
      failed: answers.length - good.length,
    };
    rows.push(summarise(id, [sample], 'firstByte'));
  }
  return {
    kind: 'firstByte',
    notes: [`the origin takes ${duration / 1000} s; one run`],
    rows,
    bars: [
      { most: 150, of: 'firstByte', unit: 'ms to the first byte, p50' },
      { most: 1, of: 'upstreamRequests', unit: 'upstream requests' },
    ],
  };
}
