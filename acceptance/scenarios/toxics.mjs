import { strict as assert } from 'node:assert';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { SET_UPS, ToxicOrigin, TOXICS } from '../servers/toxic-origin.mjs';
import { note } from '../tally.mjs';

/** @import { SetUpName, ToxicName } from '../servers/toxic-origin.mjs' */
/** @import { Tally } from '../tally.mjs' */

/**
 * @typedef {object} Extent
 * @property {readonly ToxicName[]} toxics
 * @property {readonly SetUpName[]} setUps
 * @property {number} limit how long a kept copy may take, in milliseconds
 */

/** @type {Extent} */
const FULL = {
  toxics: /** @type {ToxicName[]} */ (Object.keys(TOXICS)),
  setUps: /** @type {SetUpName[]} */ (Object.keys(SET_UPS)),
  limit: 3000,
};
/** On a machine with other work a limit says little; that the timeouts of upstreams (30 s) are not waited for does not need a small one. @type {Extent} */
const SHORT = { toxics: ['hang-head', 'drip', 'portal'], setUps: ['npm', 'oci', 'files'], limit: 20_000 };

/**
 * Serves cached copies, a stale document and an artifact, while their upstream is sick in every way. All timeouts are the
 * defaults.
 * @param {Tally} tally
 * @param {{ full: boolean }} options
 */
export async function toxics(tally, { full }) {
  const { toxics: names, setUps, limit } = full ? FULL : SHORT;
  await withScratch('toxics', async (folder) => {
    const origins = new Map(names.map((name) => [name, new ToxicOrigin(name)]));
    for (const origin of origins.values()) await origin.start();
    /** @type {Record<string, unknown>} */
    const repositories = {};
    for (const [toxic, { url }] of origins)
      for (const setUp of setUps) repositories[`${setUp}-${toxic}`] = SET_UPS[setUp].repository(url);
    const more = { log: { access: false } };
    const server = new EntrepotServer({ folder, port: await freePort(), repositories, more });
    try {
      await server.start();
      let slowest = 0;
      for (const [toxic, origin] of origins) {
        await tally.check(
          `an upstream that is sick (${toxic}): what is kept answers in ${setUps.length} set-ups`,
          async () => {
            const cells = await Promise.all(setUps.map((setUp) => warm(server.url, setUp, `${setUp}-${toxic}`)));
            // The documents go stale.
            await delay(20);
            origin.isSick = true;
            const answers = cells.flat().map(async ({ url, headers, body }) => {
              const started = performance.now();
              const answer = await get(url, { headers });
              const took = performance.now() - started;
              slowest = Math.max(slowest, took);
              const right = answer.status === 200 && answer.complete && answer.body.equals(body);
              return right && took < limit ? [] : [`${url}: ${answer.status} in ${Math.round(took)} ms, ${right}`];
            });
            assert.deepEqual((await Promise.all(answers)).flat(), []);
          },
        );
      }
      note(`the slowest kept copy took ${Math.round(slowest)} ms`);
    } finally {
      await server.kill();
      for (const origin of origins.values()) await origin.stop();
    }
  });
}

/**
 * Fetches a document and an artifact, and what describes it.
 * @param {string} server
 * @param {SetUpName} setUp
 * @param {string} mount
 */
async function warm(server, setUp, mount) {
  const { document, artifact, headers = {} } = SET_UPS[setUp];
  const page = await fetched(`${server}${document(mount)}`, headers);
  return [page, await fetched(`${server}${artifact(mount, page.body)}`, headers)];
}

/** @param {string} url @param {Record<string, string>} headers */
async function fetched(url, headers) {
  const { status, complete, body } = await get(url, { headers });
  assert.deepEqual([status, complete], [200, true], `${url}: ${body.toString('utf8', 0, 300)}`);
  return { url, headers, body };
}
