import { setTimeout as sleep } from 'node:timers/promises';
import { residentMiB, stop } from '../lib/processes.mjs';
import { rotated, summarise } from '../lib/statistics.mjs';

const SETTLE = 1_000;

/** A fresh process with an empty folder: from exec to the first good answer, and its memory a second later. */
export const footprint = {
  id: 'start',
  title: 'Start (exec to the first 200 of the health check) and idle memory, empty folder',
  async run(bench) {
    const ids = ['entrepot', 'verdaccio', 'nginx', 'koa'].filter((id) => bench.has(id));
    const samples = new Map(ids.map((id) => [id, []]));
    for (let turn = 0; turn < bench.options.runs && bench.timeLeft(); turn++) {
      for (const id of rotated(ids, turn)) {
        const server = await bench.launch(id, `start-${turn}`);
        try {
          await sleep(SETTLE);
          const idle = residentMiB(server.started.pid);
          samples.get(id).push({ milliseconds: server.startMilliseconds, residentMiB: idle });
        } finally {
          await stop(server.started);
        }
      }
    }
    return {
      kind: 'start',
      rows: ids.map((id) => summarise(id, samples.get(id), 'milliseconds')),
      bars: [
        { most: 2000, of: 'milliseconds', unit: 'ms to start' },
        { most: 120, of: 'residentMiB', unit: 'MiB idle' },
      ],
    };
  },
};
