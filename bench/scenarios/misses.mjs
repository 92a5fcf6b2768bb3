import { sha256 } from '../lib/fixtures.mjs';
import { get, keepAliveAgent } from '../lib/http.mjs';
import { median, percentile, rotated, summarise } from '../lib/statistics.mjs';

const GZIP = { 'accept-encoding': 'gzip' };

/** The cost of a miss: cold objects one after the other, each from the origin and from every server in turn. */
export const misses = [
  {
    id: 'miss-tarball',
    title: 'Miss: cold 300 KB tarballs one by one, packument warm',
    run: (bench) =>
      runMisses(bench, 'npm', ['entrepot', 'verdaccio', 'nginx'], (turn, index) => {
        const name = `tarball-300-m${turn}x${index}`;
        return { warm: `/${name}`, path: `/${name}/-/${name}-1.0.0.tgz` };
      }),
  },
  {
    id: 'miss-file',
    title: 'Miss: cold 300 KB files one by one',
    run: (bench) =>
      runMisses(bench, 'files', ['entrepot', 'nginx'], (turn, index) => ({ path: `/bytes-300000-m${turn}x${index}` })),
  },
];

async function runMisses(bench, mount, wanted, nameOf) {
  const perRun = bench.options.quick ? 15 : 30;
  const targets = [{ id: 'direct', base: bench.origin[mount] }];
  for (const id of wanted.filter((id) => bench.has(id))) targets.push({ id, base: (await bench.server(id))[mount] });
  for (const target of targets) target.agent = keepAliveAgent();
  const samples = new Map(targets.map((target) => [target.id, []]));
  try {
    for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
      const times = new Map(targets.map((target) => [target.id, []]));
      const objects = Array.from({ length: perRun + 1 }, (_, index) => nameOf(turn, index));
      for (const { path, warm } of objects) {
        await bench.origin.prepare(`/${mount}${path}`);
        for (const { base, agent } of warm ? targets : []) await get(`${base}${warm}`, { agent, headers: GZIP });
      }
      for (const [index, { path }] of objects.entries()) {
        let digest;
        for (const { id, base, agent } of rotated(targets, index)) {
          const answer = await get(`${base}${path}`, { agent });
          if (answer.status !== 200) throw new Error(`${id}: expected 200 for ${path}, found ${answer.status}`);
          digest ??= sha256(answer.body);
          if (sha256(answer.body) !== digest) throw new Error(`${id}: ${path} has other bytes than elsewhere`);
          // The first one opens connections.
          if (index > 0) times.get(id).push(answer);
        }
      }
      const direct = median(times.get('direct').map((answer) => answer.total));
      for (const { id } of targets) {
        const totals = times.get(id).map((answer) => answer.total);
        samples.get(id).push({
          milliseconds: median(totals),
          p99: percentile(totals, 0.99),
          firstByte: median(times.get(id).map((answer) => answer.firstByte)),
          added: median(totals) - direct,
        });
      }
    }
  } finally {
    for (const target of targets) target.agent.destroy();
  }
  return {
    kind: 'milliseconds',
    rows: targets.map(({ id }) => summarise(id, samples.get(id), 'milliseconds')),
    bars: [{ most: 5, of: 'added', unit: 'ms over direct, p50' }],
  };
}
