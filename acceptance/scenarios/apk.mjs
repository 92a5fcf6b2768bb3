import { strict as assert } from 'node:assert';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { APK_KEY, ApkArchive } from '@entrepot/fixtures/apk-archive';
import { ApkClient } from '@entrepot/fixtures/apk-client';
import { outputOf } from '@entrepot/fixtures/run-command';
import { isToolThere } from '@entrepot/fixtures/tools';
import { ApkReader } from '../clients/apk.mjs';
import { flipped, succeeded, TRUSTING, withAddresses, withLinuxScene } from '../servers/linux-scene.mjs';
import { note } from '../tally.mjs';
import { changed, poisoned } from './linux-poison.mjs';
import { judgedApk, linuxPolicy } from './linux-policy.mjs';
import { race } from './linux-race.mjs';

/** @import { Tally } from '../tally.mjs' */

/**
 * The apk of this machine, where it has one, and a reader that verifies as apk does, with openssl, behind a proxy of a signed repository of Alpine packages: with and without the repository,
 * while it is being changed, and with mirrors that are wrong.
 * @param {Tally} tally
 * @param {{ rounds: number, clients: number }} size of the race
 */
export async function apk(tally, { rounds, clients }) {
  if (!(await isToolThere('openssl'))) {
    note('no openssl on this machine: apk is left out');
    return;
  }
  if (!(await ApkClient.isThere())) note('no apk on this machine: a reader verifies in its place');
  await usual(tally);
  if (await ApkClient.isThere()) await indexOfV3(tally);
  await linuxPolicy(tally, judgedApk);
  await poison(tally);
  await apkRace(tally, { rounds, clients });
}

/** @param {ApkArchive} archive @param {string} folder */
async function optionsFor(archive, folder) {
  const key = join(folder, APK_KEY);
  await writeFile(key, archive.keyring);
  return { signatures: { mode: 'enforce', keyrings: [key] } };
}

/** The index and `hello`, verified. @param {ApkReader} reader */
async function readHello(reader) {
  const hello = (await reader.update()).get('hello');
  assert.ok(hello !== undefined, 'no hello is listed');
  return await reader.fetch(hello);
}

/** @param {Tally} tally */
async function usual(tally) {
  await withLinuxScene('apk', async ({ folder, mirrored, serve }) => {
    const archive = new ApkArchive();
    archive.add('hello', '1.0-r0');
    archive.add('world', '2.0-r1', { size: 300_000, source: 'earth' });
    await archive.publish();
    const options = await optionsFor(archive, folder);
    const repository = await mirrored('apk', () => archive.files, { ...options, freshFor: '1h' });
    const server = await serve({ own: repository });
    const all = async (/** @type {string} */ when) => {
      await tally.check(`apk: a reader verifies the index and its packages${when}`, async () => {
        const place = join(folder, `reader${when.replaceAll(/\W/g, '')}`);
        const reader = await new ApkReader(place, `${server.url}/own/${archive.folder}`).open(archive.keyring);
        const index = await reader.update();
        assert.deepEqual([...index.keys()], ['hello', 'world']);
        for (const { name, bytes } of archive.packages)
          assert.deepEqual(await reader.fetch(/** @type {Map<string, string>} */ (index.get(name))), bytes);
      });
      if (!(await ApkClient.isThere())) return;
      await tally.check(`apk: apk verifies and installs${when}`, async () => {
        const place = join(folder, `apk${when.replaceAll(/\W/g, '')}`);
        const client = await new ApkClient(place).open(`${server.url}/own/${dirname(archive.folder)}`, archive.keyring);
        succeeded(await client.run('update'));
        succeeded(await client.run('add', '--no-scripts', 'hello', 'world'));
        assert.equal(await client.installed(), 'hello 1.0-r0\nworld 2.0-r1');
      });
      await tally.check(`apk: apk takes no index that another key would have to sign${when}`, async () => {
        const place = join(folder, `apk-other${when.replaceAll(/\W/g, '')}`);
        const url = `${server.url}/own/${dirname(archive.folder)}`;
        const result = await (await new ApkClient(place).open(url, new ApkArchive().keyring)).run('update');
        assert.notEqual(result.code, 0, outputOf(result));
        assert.match(outputOf(result), /signature|UNTRUSTED/i);
      });
    };
    await all('');
    for (const mirror of repository.mirrors) await mirror.stop();
    await server.stop();
    await server.start();
    await all(', without its mirrors, after a restart');
    await tally.check('apk: no mirror was to be asked for what is cached', async () => {
      assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
    });
  });
}

/**
 * An index of apk-tools 3 alone: passed on as it is, and not read.
 * @param {Tally} tally
 */
async function indexOfV3(tally) {
  await withLinuxScene('apk-v3', async ({ folder, mirrored, serve }) => {
    const archive = new ApkArchive();
    const { path, bytes } = archive.add('hello', '1.0-r0');
    await writeFile(join(folder, 'hello-1.0-r0.apk'), bytes);
    const index = join(folder, 'Packages.adb');
    const words = ['mkndx', '--allow-untrusted', '--output', index, join(folder, 'hello-1.0-r0.apk')];
    if ((await new ApkClient(folder).run(...words)).code !== 0) {
      note('this apk is older than 3: its index is left out');
      return;
    }
    const files = new Map([
      [path, bytes],
      [`${archive.folder}/Packages.adb`, await readFile(index)],
    ]);
    const signatures = { mode: 'off' };
    const server = await serve({
      denied: await mirrored('apk', () => files, { signatures }),
      passed: await mirrored('apk', () => files, { signatures, unindexed: 'revalidate' }),
    });
    const install = async (/** @type {string} */ id) => {
      const client = await new ApkClient(join(folder, id)).open(`v3 ${server.url}/${id}/${dirname(archive.folder)}`);
      return { client, result: await client.run('--allow-untrusted', 'add', '--no-scripts', 'hello') };
    };
    await tally.check('apk: packages that an index of version 3 alone lists are refused', async () => {
      const { result } = await install('denied');
      assert.match(outputOf(result), /HTTP 404/);
    });
    await tally.check('apk: they are passed on where the configuration says so', async () => {
      const { client, result } = await install('passed');
      succeeded(result);
      assert.equal(await client.installed(), 'hello 1.0-r0');
    });
  });
}

/** @param {Tally} tally */
async function poison(tally) {
  /** @type {import('./linux-poison.mjs').Poisonable} */
  const format = {
    name: 'apk',
    create: () => Promise.resolve(new ApkArchive()),
    optionsFor: async (archive, folder) => await optionsFor(/** @type {ApkArchive} */ (archive), folder),
    clients: {
      reader: async (url, folder, archive) => {
        const { keyring, folder: place } = /** @type {ApkArchive} */ (archive);
        return await readHello(await new ApkReader(folder, `${url}/${place}`).open(keyring));
      },
    },
  };
  const isIndex = (/** @type {string} */ path) => path.endsWith('APKINDEX.tar.gz');
  const isPackage = (/** @type {string} */ path) => path.endsWith('.apk');
  const other = new ApkArchive();
  const unlike = other.add('hello', '1.1');
  await poisoned(tally, format, {
    'a wrong byte in an index': (path, bytes) => (isIndex(path) ? flipped(bytes) : bytes),
    'a wrong byte in a signature': (path, bytes) => (isIndex(path) ? flipped(bytes, 40) : bytes),
    'half of an index': (path, bytes) => (isIndex(path) ? bytes.subarray(0, bytes.length / 2) : bytes),
    'an index without a signature': (path, bytes) =>
      isIndex(path) ? bytes.subarray(bytes.indexOf(Buffer.from([0x1f, 0x8b, 8]), 3)) : bytes,
    'a wrong byte in the data of a package': (path, bytes) => (isPackage(path) ? flipped(bytes) : bytes),
    'the control part of a package with other data': (path, bytes) =>
      isPackage(path) ? Buffer.concat([bytes.subarray(0, dataAt(bytes)), unlike.parts.data]) : bytes,
    'another package of the name': (path, bytes) => (isPackage(path) ? unlike.bytes : bytes),
    'no packages': (path, bytes) => (isPackage(path) ? undefined : bytes),
  });
  await changed(tally, format, 'a new index, one without its packages', {
    served: 'new',
    spoils: (old) => [
      (path, bytes) => (isPackage(path) && !old.has(path) ? undefined : bytes),
      (_path, bytes) => bytes,
    ],
  });
  await changed(tally, format, 'a new index that is not whole', {
    served: 'old',
    spoils: () => {
      const early = (/** @type {string} */ path, /** @type {Buffer} */ bytes) =>
        isIndex(path) ? bytes.subarray(0, bytes.length - 30) : bytes;
      return [early, early];
    },
  });
}

/** Finds the beginning of the third part of a package. @param {Buffer} bytes */
function dataAt(bytes) {
  const magic = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
  return bytes.indexOf(magic, bytes.indexOf(magic, 8) + 8);
}

/** @param {Tally} tally @param {{ rounds: number, clients: number }} size */
async function apkRace(tally, { rounds, clients }) {
  await withLinuxScene('apk-race', async ({ folder, mirrored, serve }) => {
    const archive = new ApkArchive();
    archive.add('hello', '1.0-r0');
    await archive.publish();
    const options = await optionsFor(archive, folder);
    const repository = await mirrored('apk', () => archive.files, { ...options, freshFor: '200ms' });
    const server = await serve({ own: repository }, TRUSTING);
    await withAddresses(server.url, async (urlOf) => {
      const all = await Promise.all(
        Array.from({ length: clients }, (_, index) =>
          new ApkReader(join(folder, `reader-${index}`), `${urlOf(index)}/own/${archive.folder}`).open(archive.keyring),
        ),
      );
      const round = async (/** @type {ApkReader} */ reader) =>
        await readHello(reader).then(
          (bytes) => ({ bytes }),
          (error) => ({ problem: String(error) }),
        );
      await /** @type {ApkReader} */ (all[0]).update();
      const groups = [{ name: 'a reader', rounds, clients: all.map((reader) => () => round(reader)) }];
      const publish = async (/** @type {number} */ number) => {
        archive.add('hello', `1.${number}-r0`);
        await archive.publish();
      };
      await race(tally, 'apk', { publish, groups });
    });
  });
}
