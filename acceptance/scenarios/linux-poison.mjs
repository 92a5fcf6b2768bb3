import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { get } from '@entrepot/fixtures/get';
import { PORTAL, withLinuxScene } from '../servers/linux-scene.mjs';

/** @import { DebMirror } from '../servers/deb-mirror.mjs' */
/** @import { EntrepotServer } from '../servers/entrepot.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** @typedef {{ files: Map<string, Buffer>, add(name: string, version: string): unknown, publish(): Promise<void> }} Archive */

/**
 * Facts of a format for mirrors that are wrong.
 * @typedef {object} Poisonable
 * @property {string} name
 * @property {(folder: string) => Promise<Archive>} create an archive
 * @property {(archive: Archive, folder: string) => Promise<Record<string, unknown>>} optionsFor options of a repository that refuses what is not signed
 * @property {Record<string, (url: string, folder: string, archive: Archive) => Promise<Buffer>>} clients that read the index and `hello`, verified,
 *   and give its bytes
 */

/** @typedef {(path: string, bytes: Buffer) => Buffer | undefined} Spoil */

/**
 * The first of two mirrors has something wrong: every client gets what the second one has.
 * @param {Tally} tally @param {Poisonable} format @param {Record<string, Spoil>} spoils
 */
export async function poisoned(tally, format, spoils) {
  const { name, create, optionsFor, clients } = format;
  const all = {
    ...spoils,
    'a page in place of everything': () => PORTAL,
    'nothing but empty files': () => Buffer.alloc(0),
  };
  await withLinuxScene(`${name}-poison`, async ({ folder, mirrored, serve }) => {
    const archive = await create(join(folder, 'archive'));
    await archive.add('hello', '1.1');
    await archive.publish();
    const options = await optionsFor(archive, folder);
    /** @type {Record<string, import('../servers/linux-scene.mjs').Mirrored>} */
    const repositories = {};
    for (const [index, spoil] of Object.values(all).entries()) {
      const repository = await mirrored(name, () => archive.files, { mirrors: 2, ...options });
      /** @type {DebMirror} */ (repository.mirrors[0]).spoil = spoil;
      repositories[`own-${index}`] = repository;
    }
    const server = await serve(repositories);
    for (const [index, what] of Object.keys(all).entries()) {
      await tally.check(`${name}: the next mirror answers where one has ${what}`, async () => {
        const { mirrors } = /** @type {import('../servers/linux-scene.mjs').Mirrored} */ (repositories[`own-${index}`]);
        const [first, second] = /** @type {[DebMirror, DebMirror]} */ (mirrors);
        for (const [client, read] of Object.entries(clients)) {
          const bytes = await read(`${server.url}/own-${index}`, join(folder, `${client}-${index}`), archive);
          assert.ok(
            [...archive.files.values()].some((file) => file.equals(bytes)),
            `${client} got other bytes`,
          );
        }
        assert.ok(first.asked.length > 0 && second.asked.length > 0, `${first.asked.length} ${second.asked.length}`);
      });
    }
  });
}

/**
 * A repository of one state, then another one, of which mirrors have something wrong.
 * @param {Tally} tally @param {Poisonable} format
 * @param {string} what both mirrors have then
 * @param {object} change
 * @param {(old: Map<string, Buffer>, next: Map<string, Buffer>) => [Spoil, Spoil]} change.spoils of the mirrors, by the files of both states
 * @param {'old' | 'new'} change.served the state that clients get meanwhile
 * @param {boolean} [change.isKnown] whether the new state has been served before
 */
export async function changed(tally, format, what, { spoils, served, isKnown = false }) {
  const { name, create, optionsFor, clients } = format;
  await withLinuxScene(`${name}-change`, async ({ folder, mirrored, serve }) => {
    const archive = Object.assign(await create(join(folder, 'archive')), { age: -3_600_000 });
    await archive.add('hello', '1.1');
    await archive.publish();
    const options = await optionsFor(archive, folder);
    const repository = await mirrored(name, () => archive.files, { mirrors: 2, ...options, freshFor: '0s' });
    const [first, second] = /** @type {[DebMirror, DebMirror]} */ (repository.mirrors);
    const server = await serve({ own: repository });
    const readAll = async (/** @type {string} */ when, /** @type {Buffer} */ expected) => {
      for (const [client, read] of Object.entries(clients)) {
        const bytes = await read(`${server.url}/own`, join(folder, `${client}-${when}`), archive);
        assert.ok(bytes.equals(expected), `${client} got another state`);
      }
    };
    await tally.check(`${name}: clients get one whole state where mirrors have ${what}`, async () => {
      const bytesOf = (/** @type {Map<string, Buffer>} */ files, /** @type {string} */ version) =>
        /** @type {Buffer} */ (
          [...files].find(([path]) => path.includes(`hello-${version}`) && !path.endsWith('.sig'))?.[1]
        );
      const old = new Map(archive.files);
      await readAll('first', bytesOf(old, '1.1'));
      archive.age = 0;
      await archive.add('hello', '1.2');
      await archive.publish();
      const next = new Map(archive.files);
      const isFirst = first.spoil;
      if (isKnown) await readAll('known', bytesOf(next, '1.2'));
      [first.spoil, second.spoil] = spoils(old, next);
      await readAll('meanwhile', served === 'old' ? bytesOf(old, '1.1') : bytesOf(next, '1.2'));
      first.spoil = second.spoil = isFirst;
      await atLast(async () => {
        await refresh(server);
        await readAll('at-last', bytesOf(next, '1.2'));
      });
    });
  });
}

/** As an administrator does: mirrors that have failed are left alone for half a minute. @param {EntrepotServer} server */
async function refresh(server) {
  const api = `${server.url}/-/api/v1/roots`;
  const { roots } = JSON.parse((await get(`${api}?repository=own`)).body.toString());
  for (const { name } of roots) {
    const form = JSON.stringify({ repository: 'own', root: name });
    await get(`${api}/refresh`, { method: 'POST', body: form, headers: { 'content-type': 'application/json' } });
  }
}

/** Limit of the time until clients get what mirrors have: absence is remembered for five seconds. */
const PATIENCE = 15_000;

/** @param {() => Promise<void>} check */
async function atLast(check) {
  for (const since = performance.now(); ; await delay(500)) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() - since > PATIENCE) throw error;
    }
  }
}
