import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PacmanArchive } from '@entrepot/fixtures/pacman-archive';
import { Pacman } from '@entrepot/fixtures/pacman';
import { outputOf } from '@entrepot/fixtures/run-command';
import { flipped, succeeded, TRUSTING, withAddresses, withLinuxScene } from '../servers/linux-scene.mjs';
import { note } from '../tally.mjs';
import { changed, poisoned } from './linux-poison.mjs';
import { judgedPacman, linuxPolicy } from './linux-policy.mjs';
import { race } from './linux-race.mjs';

/** @import { Tally } from '../tally.mjs' */

/** The folder of the repository, and of its database. */
const PLACE = 'core/os/x86_64';

/** Repositories, by how they are made. @type {Record<string, (archive: PacmanArchive) => void>} */
const MADE = {
  zst: () => {},
  gz: (archive) => (archive.ending = 'gz'),
  unsigned: (archive) => (archive.isSigned = false),
};

/**
 * The pacman of this machine behind a proxy of repositories that repo-add makes: with and without the repositories, while they are being
 * changed, and with mirrors that are wrong.
 * @param {Tally} tally
 * @param {{ rounds: number, clients: number }} size of the race
 */
export async function pacman(tally, { rounds, clients }) {
  if (!(await PacmanArchive.isThere()) || !(await Pacman.isThere())) {
    note('no pacman, repo-add, bsdtar or gpg on this machine: pacman is left out');
    return;
  }
  await usual(tally);
  await linuxPolicy(tally, judgedPacman);
  await poison(tally);
  await pacmanRace(tally, { rounds, clients });
}

/** @param {Tally} tally */
async function usual(tally) {
  await withLinuxScene('pacman', async ({ folder, mirrored, serve }) => {
    /** @type {Record<string, import('../servers/linux-scene.mjs').Mirrored>} */
    const repositories = {};
    /** @type {Map<string, PacmanArchive>} */
    const archives = new Map();
    for (const [id, change] of Object.entries(MADE)) {
      const archive = await PacmanArchive.create(join(folder, 'archives', id));
      change(archive);
      await archive.add('hello', '1:2.0');
      await archive.add('world', '1.0', { size: 200_000, base: 'earth' });
      await archive.publish();
      archives.set(id, archive);
      const options = await optionsFor(archive, join(folder, 'archives', id));
      repositories[id] = await mirrored('pacman', () => archive.files, { ...options, freshFor: '1h' });
    }
    const server = await serve(repositories);
    const all = async (/** @type {string} */ when) => {
      for (const [id, archive] of archives) {
        await tally.check(`pacman: installs from a repository (${id})${when}`, async () => {
          const root = join(folder, `client-${id}${when.replaceAll(/\W/g, '')}`);
          const key = archive.isSigned ? archive.key.binary : undefined;
          const client = await new Pacman(root).open(`${server.url}/${id}/${PLACE}`, key);
          succeeded(await client.run('-Sy', 'hello', 'world'));
          assert.equal(await client.installed(), 'hello 1:2.0-1\nworld 1.0-1');
          succeeded(await client.run('-Fy'));
          const found = succeeded(await client.run('-F', 'usr/share/hello'));
          assert.match(found.stdout, /core\/hello 1:2\.0-1/, outputOf(found));
        });
      }
    };
    await all('');
    for (const { mirrors } of Object.values(repositories)) for (const mirror of mirrors) await mirror.stop();
    await server.stop();
    await server.start();
    await all(', without its mirrors, after a restart');
    await tally.check('pacman: no mirror was to be asked for what is cached', async () => {
      assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
    });
  });
}

/** @param {PacmanArchive} archive @param {string} folder */
async function optionsFor(archive, folder) {
  if (!archive.isSigned) return { signatures: { mode: 'off' } };
  const keyring = join(folder, 'archive.asc');
  await writeFile(keyring, archive.key.keyring);
  return { signatures: { mode: 'enforce', keyrings: [keyring] } };
}

/** @param {Tally} tally */
async function poison(tally) {
  /** @type {import('./linux-poison.mjs').Poisonable} */
  const format = {
    name: 'pacman',
    create: async (folder) => await PacmanArchive.create(folder),
    optionsFor: async (archive, folder) => await optionsFor(/** @type {PacmanArchive} */ (archive), folder),
    clients: {
      pacman: async (url, folder, archive) => {
        const { key } = /** @type {PacmanArchive} */ (archive);
        const client = await new Pacman(folder).open(`${url}/${PLACE}`, key.binary);
        const result = succeeded(await client.run('-Syw', 'hello'));
        const [bytes] = await client.downloaded();
        assert.ok(bytes !== undefined, outputOf(result));
        return bytes;
      },
    },
  };
  const isDatabase = (/** @type {string} */ path) => /\.(?:db|files)$/.test(path);
  const isSignature = (/** @type {string} */ path) => /\.(?:db|files)\.sig$/.test(path);
  const isPackage = (/** @type {string} */ path) => path.endsWith('.pkg.tar.zst');
  await poisoned(tally, format, {
    'a wrong byte in a database': (path, bytes) => (isDatabase(path) ? flipped(bytes) : bytes),
    'a wrong byte in a signature': (path, bytes) => (isSignature(path) ? flipped(bytes) : bytes),
    'a wrong byte in a package': (path, bytes) => (isPackage(path) ? flipped(bytes) : bytes),
    'half of a database': (path, bytes) => (isDatabase(path) ? bytes.subarray(0, bytes.length / 2) : bytes),
    'no signature': (path, bytes) => (isSignature(path) ? undefined : bytes),
    'no packages': (path, bytes) => (isPackage(path) ? undefined : bytes),
  });
  await changed(tally, format, 'the signature of the last database', {
    served: 'old',
    spoils: (old) => {
      const late = (/** @type {string} */ path, /** @type {Buffer} */ bytes) =>
        isSignature(path) ? old.get(path) : bytes;
      return [late, late];
    },
  });
  await changed(tally, format, 'the signature of the last database, but for one', {
    served: 'new',
    spoils: (old) => [(path, bytes) => (isSignature(path) ? old.get(path) : bytes), (_path, bytes) => bytes],
  });
  await changed(tally, format, 'a new database, one without its packages', {
    served: 'new',
    spoils: (old) => [
      (path, bytes) => (isPackage(path) && !old.has(path) ? undefined : bytes),
      (_path, bytes) => bytes,
    ],
  });
}

/** @param {Tally} tally @param {{ rounds: number, clients: number }} size */
async function pacmanRace(tally, { rounds, clients }) {
  await withLinuxScene('pacman-race', async ({ folder, mirrored, serve }) => {
    const archive = await PacmanArchive.create(join(folder, 'archive'));
    await archive.add('hello', '1.0');
    await archive.publish();
    const options = await optionsFor(archive, folder);
    const repository = await mirrored('pacman', () => archive.files, { ...options, freshFor: '200ms' });
    const server = await serve({ own: repository }, TRUSTING);
    await withAddresses(server.url, async (urlOf) => {
      const all = await Promise.all(
        Array.from({ length: clients }, (_, index) =>
          new Pacman(join(folder, `client-${index}`)).open(`${urlOf(index)}/own/${PLACE}`, archive.key.binary),
        ),
      );
      const round = async (/** @type {Pacman} */ client) => {
        await client.forget();
        const result = await client.run('-Syw', 'hello');
        const [bytes] = await client.downloaded();
        return result.code === 0 && bytes !== undefined ? { bytes } : { problem: outputOf(result) };
      };
      succeeded(await /** @type {Pacman} */ (all[0]).run('-Sy'));
      const groups = [{ name: 'pacman', rounds, clients: all.map((client) => () => round(client)) }];
      const publish = async (/** @type {number} */ number) => {
        await archive.add('hello', `1.${number}`);
        await archive.publish();
      };
      await race(tally, 'pacman', { publish, groups });
    });
  });
}
