import { rm } from 'node:fs/promises';
import { stop } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';

/**
 * The bytes that the upstream sends for one client that updates: past the servers, then through each that has nothing yet.
 * @param updateOnce `(folder, archive, origin)`: has a client read the index of `archive`, and gives the time that it took
 */
export function updateBytes({ title, peers, updateOnce }) {
  return {
    id: 'update-bytes',
    title,
    async run(bench) {
      const samples = new Map();
      for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
        const launched = [{ id: 'direct', archive: bench.origin.origin }];
        try {
          for (const id of peers.filter((id) => bench.has(id))) launched.push(await bench.launch(id, `update-${turn}`));
          for (const server of rotated(launched, turn)) {
            const before = await bench.origin.traffic();
            const milliseconds = await inFolder(bench, (folder) => updateOnce(folder, server.archive, bench.origin));
            const after = await bench.origin.traffic();
            const sample = {
              upstreamKilobytes: (after.bytes - before.bytes) / 1000,
              upstreamRequests: after.requests - before.requests,
              milliseconds,
            };
            samples.set(server.id, [...(samples.get(server.id) ?? []), sample]);
          }
        } finally {
          await Promise.all(launched.filter(({ started }) => started).map(({ started }) => stop(started)));
        }
      }
      const rows = [...samples].map(([id, all]) => summarise(id, all, 'upstreamKilobytes'));
      const direct = rows.find(({ server }) => server === 'direct').upstreamKilobytes;
      return {
        kind: 'upstreamBytes',
        notes: [],
        rows: rows.map((row) => ({ ...row, times: row.upstreamKilobytes / direct })),
        bars: [{ most: 1.1, of: 'times', unit: 'times the bytes of the client itself' }],
      };
    },
  };
}

async function inFolder(bench, use) {
  const folder = await bench.folder();
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
