import { strict as assert } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256 } from '@entrepot/fixtures/deb-archive';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Result of a round: the bytes of the package, or the problem. @typedef {{ bytes: Buffer } | { problem: string }} Round */

/** Between two states of a repository, in milliseconds. */
const BETWEEN = 200;

/**
 * Clients in loops while a repository is published anew again and again.
 * @param {Tally} tally
 * @param {string} name of the format
 * @param {object} race
 * @param {(number: number) => Promise<void>} race.publish the next state; the first one has been published
 * @param {readonly { name: string, rounds: number, clients: (() => Promise<Round>)[] }[]} race.groups of clients: each client
 *   does a round from nothing
 */
export async function race(tally, name, { publish, groups }) {
  const over = new AbortController();
  let published = 1;
  let problem;
  const publishing = (async () => {
    for (; !over.signal.aborted; published += 1) {
      const next = delay(BETWEEN);
      await publish(published);
      await next;
    }
  })().catch((error) => (problem = error));
  await Promise.all(
    groups.map(async ({ name: who, rounds, clients }) =>
      tally.check(
        `${name}: ${clients.length} times ${who}, ${rounds} rounds, a repository that changes every ${BETWEEN} ms`,
        async () => {
          let left = rounds;
          /** @type {Record<string, number>} */
          const failures = {};
          const examples = new Set();
          /** @type {Set<string>} */
          const states = new Set();
          const loop = async (/** @type {() => Promise<Round>} */ round) => {
            while (left-- > 0) {
              const result = await round();
              if ('bytes' in result) states.add(sha256(result.bytes));
              if ('bytes' in result) continue;
              const text = result.problem;
              const kind = /mismatch|corrupt|checksum|signature|unexpected size/i.test(text) ? 'mismatches' : 'others';
              failures[kind] = (failures[kind] ?? 0) + 1;
              if (examples.size < 3) examples.add(text.slice(0, 1500));
            }
          };
          await Promise.all(clients.map(loop));
          note(
            `${name}: ${rounds} rounds of ${who} while ${published} states were published, of which they saw ${states.size}: ${JSON.stringify(failures)}`,
          );
          assert.deepEqual(failures, {}, [...examples].join('\n'));
        },
      ),
    ),
  );
  over.abort();
  await publishing;
  if (problem !== undefined) throw problem;
}
