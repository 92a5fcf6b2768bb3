import { strict as assert } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Between two states of a repository, in milliseconds. */
const BETWEEN = 200;

/**
 * Clients in loops while a repository is published anew again and again.
 * @param {Tally} tally
 * @param {string} name of the format
 * @param {object} race
 * @param {(number: number) => Promise<void>} race.publish the next state; the first one has been published
 * @param {readonly { name: string, rounds: number, clients: (() => Promise<string | undefined>)[] }[]} race.groups of clients: each client
 *   does a round from nothing, and gives what went wrong
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
          const loop = async (/** @type {() => Promise<string | undefined>} */ round) => {
            while (left-- > 0) {
              const text = await round();
              if (text === undefined) continue;
              const kind = /mismatch|corrupt|checksum|signature|unexpected size/i.test(text) ? 'mismatches' : 'others';
              failures[kind] = (failures[kind] ?? 0) + 1;
              if (examples.size < 3) examples.add(text.slice(0, 1500));
            }
          };
          await Promise.all(clients.map(loop));
          note(
            `${name}: ${rounds} rounds of ${who} while ${published} states were published: ${JSON.stringify(failures)}`,
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
