import { growth } from './space/growth.mjs';
import { loadOfTwoWithinBound, loadWithinBound } from './space/load.mjs';
import { randomSchedules } from './space/schedules.mjs';
import { twoServers } from './space/two-servers.mjs';
import { fullVolume } from './space/volume.mjs';

/** @import { Tally } from '../tally.mjs' */

const MIB = 1024 ** 2;

const SIZES = {
  short: { maxBytes: 64 * MIB, seconds: 10, schedules: 12, rounds: 8, changes: 5, charts: 20 },
  full: { maxBytes: 1024 * MIB, seconds: 600, schedules: 1000, rounds: 200, changes: 50, charts: 300 },
};

/**
 * Space: bounds, eviction and collection, under load, kills and full volumes.
 * @param {Tally} tally
 * @param {{ full: boolean, seed: number }} options what is random follows from `seed`, but for the moments of kills
 */
export async function space(tally, { full, seed }) {
  const { maxBytes, seconds, schedules, rounds, changes, charts } = SIZES[full ? 'full' : 'short'];
  const others = async () => {
    await fullVolume(tally, { full });
    await growth(tally, { changes, charts });
    await twoServers(tally, { rounds });
    await loadWithinBound(tally, { maxBytes, seconds, seed });
    if (full) await loadOfTwoWithinBound(tally, { maxBytes: 256 * MIB, seconds: 120, seed });
  };
  // Together: one waits for processes to start, the others for the disk.
  await Promise.all([randomSchedules(tally, { schedules, seed }), others()]);
}
