import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Apt } from '@entrepot/fixtures/apt';
import { aptCacherNg, freeShortPort } from '@entrepot/fixtures/apt-cacher-ng';
import { get } from '@entrepot/fixtures/get';
import { withScratch } from '@entrepot/fixtures/scratch';
import { succeeded, withArchive } from '../servers/deb-scene.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { RepreproArchive } from '../servers/reprepro-archive.mjs';
import { note } from '../tally.mjs';
import { until } from './policy-databases.mjs';

/** @import { Tally } from '../tally.mjs' */

/** The time from one state of an archive to the next, in milliseconds. */
const INTERVAL = 200;
const CACHE = { generations: { freshFor: '200ms', staleAfter: '1m', negativeFor: '0s' } };

/** @typedef {{ rounds: number, clients: number, peerRounds: number }} RaceSize */

/**
 * Clients that update and download again and again while the archive is published anew: one that offers index files by their sums, one
 * that does not, and one that reprepro keeps, which changes its files one after the other. Nobody may meet a mismatch.
 * @param {Tally} tally @param {RaceSize} size
 */
export async function debRaces(tally, size) {
  for (const isByHash of [true, false]) await race(tally, size, isByHash);
  await withScratch('deb-race', (folder) => reprepro(tally, size, folder));
}

/** @param {Tally} tally @param {RaceSize} size @param {boolean} isByHash */
async function race(tally, { rounds, clients }, isByHash) {
  const way = isByHash ? 'by sums' : 'by names';
  await withArchive({ freshFor: '200ms', byHash: isByHash }, async ({ archive, server, apt }) => {
    archive.add('hello', '1.0');
    await archive.publish();
    await server.start();
    const options = isByHash ? [] : ['Acquire::By-Hash=no'];
    const all = await Promise.all(Array.from({ length: clients }, (_, index) => apt(`racer-${index}`, options)));
    succeeded(await /** @type {Apt} */ (all[0]).run('update'));
    await tally.check(
      `deb: ${clients} clients, ${rounds} rounds, an archive that changes every 200 ms, ${way}`,
      async () => {
        const publish = async (/** @type {number} */ state) => {
          archive.add('hello', `1.${state}`);
          await archive.publish();
        };
        const { published, failures, examples, versions } = await loops(all, rounds, publish);
        note(
          `deb: ${rounds} rounds ${way} while ${published} states were published, ${versions} of them seen: ${JSON.stringify(failures)}`,
        );
        assert.deepEqual(failures, {}, examples.join('\n'));
        await assertCurrent(/** @type {Apt} */ (all[0]), `1.${published}`);
      },
    );
  });
}

/** @param {Tally} tally @param {RaceSize} size @param {string} folder */
async function reprepro(tally, { rounds, clients, peerRounds }, folder) {
  const archive = await RepreproArchive.create(await made(folder, 'upstream'));
  if (archive === undefined) {
    note('no reprepro or gpg on this machine: the race against a real archive is left out');
    return;
  }
  const server = new EntrepotServer({
    folder: await made(folder, 'server'),
    port: await freePort(),
    repositories: {
      debian: { type: 'deb', upstream: archive.url, signatures: { keyrings: [archive.keyring] }, cache: CACHE },
    },
  });
  const running = async (/** @type {string} */ place, /** @type {number} */ turns) => {
    const source = `deb [signed-by=${archive.keyring}] ${place} stable main`;
    const names = Array.from({ length: clients }, (_, index) => join(folder, `racer-${index}`));
    const all = await Promise.all(names.map((name) => new Apt(name).open([source])));
    succeeded(await /** @type {Apt} */ (all[0]).run('update'));
    const found = await loops(all, turns, () => archive.publish('hello'));
    return { ...found, client: /** @type {Apt} */ (all[0]) };
  };
  try {
    await archive.publish('hello');
    await archive.start();
    await server.start();
    await tally.check(
      `deb: ${clients} clients, ${rounds} rounds, an archive that reprepro changes all the time`,
      async () => {
        const { published, failures, examples, versions, client } = await running(`${server.url}/debian`, rounds);
        note(
          `deb: ${rounds} rounds while reprepro published ${published} states, ${versions} of them seen: ${JSON.stringify(failures)}`,
        );
        assert.deepEqual(failures, {}, examples.join('\n'));
        await assertCurrent(client, archive.version);
      },
    );
    if (peerRounds === 0) return;
    const count = async (/** @type {string} */ way, /** @type {string} */ place) => {
      const { published, failures, versions } = await running(place, peerRounds);
      note(
        `deb: ${peerRounds} rounds ${way} while reprepro published ${published} states, ${versions} of them seen: ${JSON.stringify(failures)}`,
      );
    };
    await count('past the server', archive.url);
    await withPeer(await made(folder, 'peer'), (peer) =>
      count('through apt-cacher-ng', `${peer}/${new URL(archive.url).host}`),
    );
  } finally {
    await server.kill();
    await archive.close();
  }
}

/** Runs apt-cacher-ng where this machine can have it. @param {string} folder @param {(url: string) => Promise<void>} use */
async function withPeer(folder, use) {
  const port = await freeShortPort();
  const peer = await aptCacherNg(folder, port);
  if (peer === undefined) return;
  const [program = '', ...words] = peer.command;
  const child = spawn(program, words, { cwd: folder, env: peer.env, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  try {
    const end = performance.now() + 10_000;
    while ((await get(url).catch(() => undefined)) === undefined) {
      assert.ok(performance.now() < end, 'apt-cacher-ng was expected to listen within 10 s');
      await delay(50);
    }
    await use(url);
  } finally {
    const exited = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGKILL')) await exited;
  }
}

/**
 * Clients that update and download until there were as many rounds, while `publish` runs again and again.
 * @param {readonly Apt[]} clients @param {number} rounds @param {(state: number) => Promise<unknown>} publish
 */
async function loops(clients, rounds, publish) {
  const over = new AbortController();
  let published = 0;
  const publishing = (async () => {
    while (!over.signal.aborted) {
      const next = delay(INTERVAL);
      await publish((published += 1));
      await next;
    }
  })();
  let left = rounds;
  /** @type {Record<string, number>} */
  const failures = {};
  /** @type {string[]} */
  const examples = [];
  const versions = new Set();
  const loop = async (/** @type {Apt} */ client) => {
    while (left-- > 0) {
      await client.forget();
      const updated = await client.run('update');
      const result = updated.code === 0 ? await client.download('hello') : updated;
      if (result.code === 0 && !/^[EW]: /m.test(updated.stderr)) {
        for (const name of await client.archives()) versions.add(name);
        continue;
      }
      const text = updated.stderr + result.stderr;
      const kind = /mismatch|unexpected size/i.test(text) ? 'mismatches' : 'others';
      failures[kind] = (failures[kind] ?? 0) + 1;
      if (examples.length < 3) examples.push(text.slice(0, 1500));
    }
  };
  await Promise.all(clients.map(loop));
  over.abort();
  await publishing;
  return { published, failures, examples, versions: versions.size };
}

/** Checks that a client has the last state soon after the archive rests. @param {Apt} client @param {string} version */
async function assertCurrent(client, version) {
  await until(`version ${version}`, async () => {
    await client.forget();
    succeeded(await client.run('update'));
    succeeded(await client.download('hello'));
    return (await client.archives()).includes(`hello_${version}_all.deb`);
  });
}

/** @param {string} folder @param {string} name @returns {Promise<string>} a new folder */
async function made(folder, name) {
  const path = join(folder, name);
  await mkdir(path);
  return path;
}
