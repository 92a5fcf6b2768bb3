import { strict as assert } from 'node:assert';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FixtureApplication } from '@entrepot/fixtures/npm-application';
import { outputOf } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { runClient } from '../clients/npm.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { FixtureRegistry } from '../servers/npm-registry.mjs';
import { npmCommands, TEAM_PASSWORD } from './npm-commands.mjs';

/** @import { Client } from '../clients/npm.mjs' */
/** @import { Tally } from '../tally.mjs' */

/**
 * Every client installs a synthetic application through Entrepot: from an empty store, and with the upstream gone, with
 * and without its lockfile. Each artifact and each document is fetched once for all of them.
 * @param {Tally} tally
 * @param {readonly Client[]} clients
 */
export async function clientsHermetic(tally, clients) {
  await withScratch('clients', async (folder) => {
    const application = new FixtureApplication();
    const registry = await new FixtureRegistry(application).start();
    // Longer than any run, so that "nothing was asked" can be counted.
    const cache = { packument: { freshFor: '1d' } };
    const access = { users: { team: { password: '${env:TEAM_PASSWORD}' } } };
    const repositories = {
      npm: { type: 'npm', upstream: registry.url, cache },
      guarded: { type: 'npm', upstream: registry.url, cache, access },
    };
    const env = { TEAM_PASSWORD };
    const server = new EntrepotServer({ folder, port: await freePort(), repositories, env });
    try {
      await run({ tally, clients, folder, application, registry, server });
    } finally {
      await server.kill();
      await registry.stop();
    }
  });
}

/**
 * @typedef {object} Setting
 * @property {Tally} tally
 * @property {readonly Client[]} clients
 * @property {string} folder
 * @property {FixtureApplication} application
 * @property {FixtureRegistry} registry
 * @property {EntrepotServer} server
 */

/** @param {Setting} setting */
async function run({ tally, clients, folder, application, registry, server }) {
  if (!(await tally.check('the server starts', () => server.start()))) return;
  const url = `${server.url}/npm`;
  /** @type {Map<Client, Map<string, string>>} */
  const first = new Map();
  /** Own sums of a client (yarn 4) are compared with what it writes without Entrepot. @type {Map<Client, Map<string, string>>} */
  const direct = new Map();
  const install = { folder, manifest: application.manifest };

  const yarn1 = clients.find(({ name }) => name === 'yarn-1');
  if (yarn1 !== undefined) {
    await tally.check('yarn-1: looks for settings in its home and above its project alone', async () => {
      const place = { home: join(folder, 'settings-home'), project: join(folder, 'settings-project'), registry: url };
      const { stdout } = await runClient(yarn1, ['config', 'list', '--verbose'], place);
      const looked = [...stdout.matchAll(/Checking for configuration file "([^"]+)"/g)].map(([, path = '']) => path);
      assert.ok(looked.length > 0, stdout);
      const isOwn = (/** @type {string} */ path) =>
        path.startsWith(`${place.home}/`) || place.project.startsWith(dirname(path));
      assert.deepEqual(
        looked.filter((path) => !isOwn(path)),
        [],
      );
    });
  }

  for (const client of clients) {
    if (client.integrity === 'published') continue;
    await tally.check(`${client.name}: installs without Entrepot, for comparison`, async () => {
      direct.set(client, await installOnce({ ...install, client, registry: registry.url, keepLockfile: false }));
    });
  }
  registry.reset();

  for (const client of clients) {
    await tally.check(`${client.name}: installs from an empty store`, async () => {
      const found = await installOnce({ ...install, client, registry: url, keepLockfile: false });
      first.set(client, found);
      assertIntegrity(found, direct.get(client), application);
    });
  }

  await tally.check('every artifact and document was fetched once for all clients', () => {
    const more = [...registry.requests].filter(([name, times]) => times > 1 && isKept(registry, name));
    assert.deepEqual(more, [], 'one upstream request each was expected');
    const artifacts = [...registry.requests.keys()].filter((name) => registry.isTarball(pathOf(name)));
    const all = new Set();
    for (const found of first.values()) for (const id of found.keys()) all.add(id);
    assert.ok(artifacts.length > 250, `more than 250 artifacts were expected, found ${artifacts.length}`);
    assert.ok(artifacts.length <= all.size, `at most ${all.size} artifacts were expected, found ${artifacts.length}`);
  });

  await tally.check('the metrics count what the upstream counted', async () => {
    assert.equal(await server.metric('entrepot_upstream_requests_total'), registry.count());
  });

  await npmCommands({ tally, folder, application, registry, url });

  await registry.stop();
  await tally.check('the server stops with 0 and starts again', async () => {
    await server.stop();
    await server.start();
  });
  for (const client of clients) {
    await tally.check(`${client.name}: installs its lockfile with the upstream gone`, async () => {
      const found = await installOnce({ ...install, client, registry: url, keepLockfile: true });
      assert.deepEqual(sorted(found), sorted(first.get(client)));
    });
    await tally.check(`${client.name}: installs without a lockfile with the upstream gone`, async () => {
      const found = await installOnce({ ...install, client, registry: url, keepLockfile: false });
      assert.deepEqual(sorted(found), sorted(first.get(client)));
    });
  }
  await tally.check('with everything kept, the upstream was asked for nothing', async () => {
    assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
  });
  await tally.check('the server stops with 0', () => server.stop());
}

/**
 * Installs the application with an empty client cache and gives what the lockfile says.
 * @param {object} options
 * @param {Client} options.client
 * @param {string} options.folder
 * @param {Record<string, unknown>} options.manifest
 * @param {string} options.registry
 * @param {boolean} options.keepLockfile whether it installs what the lockfile of the last time says
 * @param {number} [options.timeout]
 * @returns {Promise<Map<string, string>>}
 */
export async function installOnce({ client, folder, manifest, registry, keepLockfile, timeout = 180_000 }) {
  const place = { home: join(folder, `${client.name}-home`), project: join(folder, client.name), registry };
  const lockfile = join(place.project, client.lockfile);
  const kept = keepLockfile ? await readFile(lockfile, 'utf8') : undefined;
  await rm(place.home, { recursive: true, force: true });
  await rm(place.project, { recursive: true, force: true });
  await mkdir(place.project, { recursive: true });
  await writeFile(join(place.project, 'package.json'), JSON.stringify(manifest, undefined, 2));
  if (kept !== undefined) await writeFile(lockfile, kept);
  const result = await runClient(client, keepLockfile ? client.frozen : client.install, place, { timeout });
  assert.equal(result.code, 0, outputOf(result));
  const found = client.readIntegrity(await readFile(lockfile, 'utf8'));
  // The lockfile is all that the next time needs.
  await rm(place.home, { recursive: true, force: true });
  await rm(join(place.project, 'node_modules'), { recursive: true, force: true });
  return found;
}

/**
 * @param {Map<string, string>} found
 * @param {Map<string, string> | undefined} own what a client with sums of its own writes without Entrepot
 * @param {FixtureApplication} application
 */
function assertIntegrity(found, own, application) {
  assert.ok(found.size > 250, `a lockfile with more than 250 packages was expected, found ${found.size}`);
  if (own !== undefined) {
    assert.deepEqual(sorted(found), sorted(own));
    return;
  }
  for (const [id, integrity] of found) {
    const at = id.lastIndexOf('@');
    const accepted = application.acceptedIntegrity(id.slice(0, at), id.slice(at + 1));
    assert.ok(accepted.includes(integrity), `${id}: one of ${accepted.join(' ')} was expected, found ${integrity}`);
  }
}

/** @param {Map<string, string> | undefined} found */
export function sorted(found) {
  return Object.fromEntries([...(found ?? [])].sort());
}

/** Whether a counted request is for something that Entrepot keeps. @param {FixtureRegistry} registry @param {string} name */
function isKept(registry, name) {
  const path = pathOf(name);
  return registry.isTarball(path) || registry.isDocument(path);
}

/** @param {string} name of a counted request */
function pathOf(name) {
  return name.slice(name.indexOf(' ') + 1);
}
