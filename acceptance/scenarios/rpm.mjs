import { strict as assert } from 'node:assert';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { rpmClients } from '@entrepot/fixtures/rpm-clients';
import { outputOf } from '@entrepot/fixtures/run-command';
import { RpmReader } from '../clients/rpm-reader.mjs';
import { succeeded, withLinuxScene } from '../servers/linux-scene.mjs';
import { note } from '../tally.mjs';
import { COMPS, MODULES, UPDATES } from '../servers/rpm-metadata.mjs';
import { judgedRpm, linuxPolicy } from './linux-policy.mjs';
import { rpmMirrors } from './rpm-mirrors.mjs';
import { rpmPoison } from './rpm-poison.mjs';
import { rpmRace } from './rpm-race.mjs';

/** @import { Tally } from '../tally.mjs' */

/** Repositories, by how they are made. @type {Record<string, (archive: RpmArchive) => void>} */
const MADE = {
  gzip: () => {},
  zstd: (archive) => (archive.isZstd = true),
  xz: (archive) => archive.options.push('--general-compress-type=xz'),
  zchunk: (archive) => archive.options.push('--zck'),
  sqlite: (archive) => archive.options.push('--database'),
  'names without sums': (archive) => archive.options.push('--simple-md-filenames'),
  unsigned: (archive) => (archive.isSigned = false),
  'modules, groups and updates': (archive) => (archive.more = { modules: MODULES, group: COMPS, updateinfo: UPDATES }),
};

/**
 * The dnf and zypper of this machine, and a reader that asks for many ranges, behind a proxy of repositories that createrepo_c makes: with and
 * without the repositories, while they are being changed, and with mirrors that are wrong.
 * @param {Tally} tally
 * @param {{ rounds: number, clients: number }} size of the race
 */
export async function rpm(tally, { rounds, clients }) {
  const programs = await rpmClients();
  if (!(await RpmArchive.isThere()) || Object.keys(programs).length === 0) {
    note('no rpmbuild, createrepo_c, and dnf or zypper on this machine: rpm is left out');
    return;
  }
  await usual(tally, programs);
  await zchunk(tally);
  await rpmMirrors(tally);
  await linuxPolicy(tally, judgedRpm);
  await rpmPoison(tally, programs);
  await rpmRace(tally, programs, { rounds, clients });
}

/** @param {Tally} tally @param {Awaited<ReturnType<typeof rpmClients>>} programs */
async function usual(tally, programs) {
  await withLinuxScene('rpm', async ({ folder, mirrored, serve }) => {
    /** @type {Record<string, import('../servers/linux-scene.mjs').Mirrored>} */
    const repositories = {};
    const keyrings = new Map();
    for (const [made, change] of Object.entries(MADE)) {
      const id = made.replaceAll(/\W+/g, '-');
      const archive = await RpmArchive.create(join(folder, 'archives', id));
      change(archive);
      await archive.add('hello', '1.1');
      await archive.add('world', '1.1', { source: 'earth', size: 200_000 });
      await archive.publish();
      const keyring = join(folder, `${id}.asc`);
      await writeFile(keyring, archive.key.keyring);
      if (archive.isSigned) keyrings.set(id, keyring);
      const signatures = archive.isSigned ? { mode: 'enforce', keyrings: [keyring] } : { mode: 'off' };
      repositories[id] = await mirrored('rpm', () => archive.files, { signatures, freshFor: '1h' });
    }
    const server = await serve(repositories);
    const all = async (/** @type {string} */ when) => {
      for (const [made] of Object.entries(MADE)) {
        const id = made.replaceAll(/\W+/g, '-');
        for (const [program, open] of Object.entries(programs)) {
          await tally.check(`rpm: ${program} installs from a repository (${made})${when}`, async () => {
            const root = join(folder, `${program}-${id}${when.replaceAll(/\W/g, '')}`);
            const client = await open(root).open(`${server.url}/${id}`, keyrings.get(id));
            succeeded(await client.update());
            const result = succeeded(await client.install('world'));
            assert.equal(await client.installed(), 'world-1.1-1.noarch', outputOf(result));
          });
        }
      }
    };
    await all('');
    for (const { mirrors } of Object.values(repositories)) for (const mirror of mirrors) await mirror.stop();
    await server.stop();
    await server.start();
    await all(', without its mirrors, after a restart');
    await tally.check(
      'rpm: mirrors were to be asked for nothing but media.1/media, which zypper looks for',
      async () => {
        const most = 'zypper' in programs ? Object.keys(MADE).length : 0;
        const asked = await server.metric('entrepot_upstream_requests_total');
        assert.ok(asked <= most, `${asked} requests`);
      },
    );
  });
}

/** Limit of ranges that librepo asks for at once. */
const RANGES = 256;

/** @param {Tally} tally */
async function zchunk(tally) {
  await withLinuxScene('rpm-zchunk', async ({ folder, mirrored, serve }) => {
    const archive = await RpmArchive.create(join(folder, 'archive'));
    archive.options.push('--zck');
    for (let index = 0; index < 200; index += 1) await archive.add(`hello`, `1.${1000 + index}`, { isBeside: true });
    await archive.publish();
    const repository = await mirrored('rpm', () => archive.files, { freshFor: '1h' });
    const server = await serve({ zchunk: repository });
    const reader = new RpmReader(`${server.url}/zchunk`);
    const [mirror] = repository.mirrors;
    for (const when of ['not cached yet', 'cached', 'without its mirror']) {
      await tally.check(`rpm: ${RANGES} ranges of a zchunk file in odd order, ${when}`, async () => {
        if (when === 'without its mirror') await mirror?.stop();
        const file = (await reader.repomd()).get('primary_zck');
        assert.ok(file !== undefined);
        const bytes = /** @type {Buffer} */ (archive.files.get(file.path));
        const step = Math.floor(bytes.length / RANGES);
        assert.ok(step > 2, `${bytes.length} bytes`);
        // The last ones first, then every other.
        const ranges = Array.from({ length: RANGES }, (_, index) => {
          const at = ((RANGES - 1 - index) * 129) % RANGES;
          return /** @type {const} */ ([at * step, at * step + step - 2]);
        });
        const found = await reader.ranges(file.path, ranges);
        assert.equal(found.size, RANGES);
        for (const [from, to] of ranges) assert.deepEqual(found.get(from), bytes.subarray(from, to + 1));
        assert.deepEqual(await reader.file(file), bytes);
      });
    }
  });
}
