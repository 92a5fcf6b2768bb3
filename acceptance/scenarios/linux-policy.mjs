import { strict as assert } from 'node:assert';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ApkArchive } from '@entrepot/fixtures/apk-archive';
import { ApkClient } from '@entrepot/fixtures/apk-client';
import { get } from '@entrepot/fixtures/get';
import { PacmanArchive } from '@entrepot/fixtures/pacman-archive';
import { Pacman } from '@entrepot/fixtures/pacman';
import { RpmArchive } from '@entrepot/fixtures/rpm-archive';
import { rpmClients } from '@entrepot/fixtures/rpm-clients';
import { outputOf } from '@entrepot/fixtures/run-command';
import { succeeded, withLinuxScene } from '../servers/linux-scene.mjs';
import { note } from '../tally.mjs';
import { until } from './policy-databases.mjs';

/** @import { CommandResult } from '@entrepot/fixtures/run-command' */
/** @import { Tally } from '../tally.mjs' */

/** @typedef {{ files: Map<string, Buffer>, packages: { name: string, path: string }[], publish(): Promise<void> }} Archive */

/**
 * Facts of a format for policy.
 * @typedef {object} Judged
 * @property {string} type
 * @property {string} prefix of the names of its packages, as purl
 * @property {string} [ecosystem] as the public database of advisories names it. Absent: it has none for the format
 * @property {string} pointer the path of the document that commits to all others
 * @property {Archive} archive of `libearth1`, whose source is `earth`, of `young`, `world` and `good`
 * @property {Record<string, { open: (folder: string, url: string) => Promise<void>, install: (folder: string, name: string) => Promise<CommandResult> }>} clients
 */

/**
 * Tries all ways to a package that policy refuses: by its path, from a state of the past, with `HEAD`, or by a real client. No mirror is asked
 * for it, and the index stays as it is.
 * @param {Tally} tally
 * @param {(folder: string) => Promise<Judged>} format
 */
export async function linuxPolicy(tally, format) {
  await withLinuxScene('linux-policy', async ({ folder, mirrored, serve }) => {
    const { type, prefix, ecosystem, pointer, archive, clients } = await format(folder);
    await archive.publish();
    const rules = [
      { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' },
      { id: 'cooldown', match: { purl: [`${prefix}young`] }, when: { age: { lt: '3d' } }, action: 'hold' },
      { id: 'no-world', match: { purl: [`${prefix}world`] }, action: 'deny', reason: 'not in this house' },
    ];
    const file = join(folder, 'policy.yaml');
    await writeFile(file, JSON.stringify({ version: 1, rules }));
    const from = join(folder, 'advisories');
    await writeAdvisory(from, ecosystem);
    const repository = await mirrored(type, () => archive.files, { signatures: { mode: 'off' }, keepGenerations: 10 });
    const scanners = [{ type: 'osv', from, directory: join(folder, 'osv') }];
    const server = await serve({ own: repository }, { policy: { file }, ...(ecosystem && { scanners }) });
    const url = `${server.url}/own`;
    if (ecosystem !== undefined) {
      await tally.check(`${type}: the server has the advisories for ${ecosystem}`, () =>
        until('the database', async () => {
          const all = JSON.parse((await get(`${server.url}/-/api/v1/scans`)).body.toString());
          return all.scanners[0].databaseDate !== undefined;
        }),
      );
    }
    const index = (await get(`${url}/${pointer}`)).body;
    const refused = { libearth1: 'vulnerable', young: 'cooldown', world: 'no-world' };
    const all = Object.entries(refused).filter(([, rule]) => rule !== 'vulnerable' || ecosystem !== undefined);
    const time = new Date(Date.now() + 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const ways = (/** @type {string} */ path) => [path, `snapshots/${time}/${path}`, `${path}?x=1`, encoded(path)];
    for (const [name, rule] of all) {
      await tally.check(`${type}: ${name} is refused by ${rule} on every URL`, async () => {
        for (const way of ways(pathOf(archive, name))) {
          for (const method of ['GET', 'HEAD']) {
            const { status, body } = await get(`${url}/${way}`, { method });
            assert.equal(status, 403, `${method} ${way}: ${status} ${body}`);
            if (method === 'GET') assert.match(body.toString(), new RegExp(rule));
          }
        }
      });
    }
    await tally.check(`${type}: what is good is there on the same ways, and the index is as it was`, async () => {
      for (const way of ways(pathOf(archive, 'good'))) assert.equal((await get(`${url}/${way}`)).status, 200, way);
      for (const way of [pointer, `snapshots/${time}/${pointer}`])
        assert.deepEqual((await get(`${url}/${way}`)).body, index);
      assert.deepEqual(index, archive.files.get(pointer));
    });
    for (const [client, { open, install }] of Object.entries(clients)) {
      await tally.check(`${type}: ${client} is refused them, and installs what is good`, async () => {
        const place = join(folder, client);
        await open(place, url);
        for (const [name, rule] of all) {
          const result = await install(place, name);
          assert.notEqual(result.code, 0, outputOf(result));
          const text = `${result.stdout}\n${result.stderr}`;
          note(
            `${type}: ${client} on ${rule}: ${text
              .split('\n')
              .filter((line) => /403|denied/.test(line))
              .slice(0, 2)
              .join(' | ')}`,
          );
          assert.match(text, /403|Permission to access .* denied/, outputOf(result));
        }
        succeeded(await install(place, 'good'));
      });
    }
    await tally.check(`${type}: what nobody may have was asked of no mirror`, () => {
      const asked = new Set(repository.mirrors.flatMap((mirror) => mirror.asked));
      for (const [name] of all) assert.ok(!asked.has(pathOf(archive, name)), name);
      assert.ok(asked.has(pathOf(archive, 'good')));
    });
  });
}

/** Names of packages as they are, with what else may stand for a character. @param {string} path */
function encoded(path) {
  return path.replace(/[^/]+$/, (name) => name.replaceAll('-', '%2D'));
}

/** @param {Archive} archive @param {string} name */
function pathOf({ packages }, name) {
  return packages.find((one) => one.name === name)?.path ?? '';
}

/** A record as the public database has them: by source packages, with a range of their versions. @param {string} folder @param {string | undefined} ecosystem */
async function writeAdvisory(folder, ecosystem) {
  if (ecosystem === undefined) return;
  const [dump = ''] = ecosystem.split(':');
  await mkdir(join(folder, dump), { recursive: true });
  const record = {
    schema_version: '1.7.3',
    id: 'TEST-2026-0001',
    published: '2026-01-05T00:00:00Z',
    modified: '2026-01-06T00:00:00Z',
    details: 'A flaw of a fixture.',
    severity: [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }],
    affected: [
      {
        package: { ecosystem, name: 'earth' },
        ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '2.0-r0' }] }],
      },
    ],
  };
  await writeFile(join(folder, dump, `${record.id}.json`), JSON.stringify(record));
}

/** @param {string} folder @returns {Promise<Judged>} */
export async function judgedRpm(folder) {
  const archive = await RpmArchive.create(join(folder, 'archive'));
  archive.isSigned = false;
  archive.options.push('--distro', 'cpe:/o:rocky:rocky:9,Rocky Linux 9');
  await archive.add('libearth1', '1.1', { source: 'earth' });
  for (const name of ['young', 'world', 'good']) await archive.add(name, '1.1');
  const programs = Object.entries(await rpmClients()).map(([program, make]) => [
    program,
    {
      open: async (/** @type {string} */ place, /** @type {string} */ url) => void (await make(place).open(url)),
      install: async (/** @type {string} */ place, /** @type {string} */ name) => await make(place).install(name),
    },
  ]);
  const [prefix, ecosystem] = ['pkg:rpm/rocky-linux-9/', 'Rocky Linux:9'];
  return {
    type: 'rpm',
    prefix,
    ecosystem,
    pointer: 'repodata/repomd.xml',
    archive,
    clients: Object.fromEntries(programs),
  };
}

/** @param {string} folder @returns {Promise<Judged>} */
export async function judgedPacman(folder) {
  const archive = await PacmanArchive.create(join(folder, 'archive'));
  archive.isSigned = false;
  await archive.add('libearth1', '1.1', { base: 'earth' });
  for (const name of ['young', 'world', 'good']) await archive.add(name, '1.1');
  const pacman = {
    open: async (/** @type {string} */ place, /** @type {string} */ url) =>
      void (await new Pacman(place).open(`${url}/core/os/x86_64`)),
    install: async (/** @type {string} */ place, /** @type {string} */ name) =>
      await new Pacman(place).run('-Sy', name),
  };
  return { type: 'pacman', prefix: 'pkg:alpm/arch/', pointer: 'core/os/x86_64/core.db', archive, clients: { pacman } };
}

/** @returns {Promise<Judged>} */
export async function judgedApk() {
  const archive = new ApkArchive();
  archive.add('libearth1', '1.1-r0', { source: 'earth' });
  for (const name of ['young', 'world', 'good']) archive.add(name, '1.1-r0');
  const [prefix, ecosystem] = ['pkg:apk/alpine-3.20/', 'Alpine:v3.20'];
  /** @type {Judged['clients']} */
  const clients = (await ApkClient.isThere())
    ? {
        apk: {
          open: async (place, url) =>
            void (await new ApkClient(place).open(`${url}/${dirname(archive.folder)}`, archive.keyring)),
          install: async (place, name) => {
            const client = new ApkClient(place);
            const result = await client.run('add', '--no-scripts', name);
            // It goes on wanting what it could not install.
            if (result.code !== 0) await client.run('del', '--no-scripts', name);
            return result;
          },
        },
      }
    : {};
  return { type: 'apk', prefix, ecosystem, pointer: `${archive.folder}/APKINDEX.tar.gz`, archive, clients };
}
