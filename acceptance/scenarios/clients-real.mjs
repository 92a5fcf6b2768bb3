import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { CountingRelay } from '../servers/counting-relay.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';
import { installOnce, sorted } from './clients-hermetic.mjs';

/** @import { Client } from '../clients/npm.mjs' */
/** @import { Tally } from '../tally.mjs' */

/** Several hundred packages: scoped ones, optional binaries for many platforms, deep and wide trees. */
const LARGE = {
  name: 'real-application',
  version: '1.0.0',
  private: true,
  dependencies: {
    '@aws-sdk/client-s3': '^3.600.0',
    '@babel/core': '^7.25.0',
    '@babel/preset-env': '^7.25.0',
    esbuild: '^0.24.0',
    eslint: '^9.0.0',
    express: '^4.21.0',
    jest: '^29.7.0',
    next: '^14.2.0',
    react: '^18.3.0',
    'react-dom': '^18.3.0',
    typescript: '~5.6.0',
    lightningcss: '^1.27.0',
    webpack: '^5.95.0',
  },
};

const SMALL = {
  name: 'small-application',
  version: '1.0.0',
  private: true,
  dependencies: { '@babel/core': '^7.25.0', express: '^4.21.0', esbuild: '^0.24.0', react: '^18.3.0' },
};

const TIMEOUT = 600_000;
/** Longer than any run, so that "nothing was asked" can be counted. What happens to stale documents is tested elsewhere. */
const FRESH = { cache: { packument: { freshFor: '1d' } } };

/**
 * Each client installs a real application through Entrepot from the registry of this machine, into an empty store;
 * then the server is started again with its upstream at a closed port, and the client installs it again with an empty
 * cache, with and without its lockfile.
 * @param {Tally} tally
 * @param {readonly Client[]} clients
 * @param {{ small: boolean }} options the smaller application, and straight from the registry: the short form
 */
export async function clientsReal(tally, clients, { small }) {
  const target = await configuredRegistry();
  for (const client of clients) {
    await withScratch('real', (folder) => (small ? direct : relayed)({ tally, client, folder, target }));
  }
}

/**
 * @typedef {object} Setting
 * @property {Tally} tally
 * @property {Client} client
 * @property {string} folder
 * @property {string} target the URL of the machine's registry
 */

/** Through a relay that counts every path. @param {Setting} setting */
async function relayed({ tally, client, folder, target }) {
  const relay = await new CountingRelay(target).start();
  const repositories = { npm: { type: 'npm', upstream: relay.url, ...FRESH } };
  const server = await serverIn(folder, repositories);
  const install = { client, folder, manifest: LARGE, registry: `${server.url}/npm`, timeout: TIMEOUT };
  try {
    /** @type {Map<string, string>} */
    let found = new Map();
    const installed = await tally.check(`${client.name}: installs a real application into an empty store`, async () => {
      await server.start();
      const started = performance.now();
      found = await installOnce({ ...install, keepLockfile: false });
      note(`${client.name}: ${found.size} packages, ${relay.count()} upstream requests, ${seconds(started)} s`);
      assert.ok(found.size > 500, `more than 500 packages were expected, found ${found.size}`);
    });
    if (!installed) return;
    await tally.check(`${client.name}: one upstream request for each artifact and document`, () => {
      const more = [...relay.requests].filter(([name, times]) => times > 1 && name.startsWith('GET '));
      assert.deepEqual(more, []);
    });
    // Nothing listens on its port any more: connections are refused.
    await relay.stop();
    await offline({ tally, server, install, found });
  } finally {
    await server.kill();
    await relay.stop();
  }
}

/** Straight from the registry that Entrepot finds in the settings of this machine. @param {Setting} setting */
async function direct({ tally, client, folder }) {
  const server = await serverIn(folder, { npm: { type: 'npm', ...FRESH } });
  const install = { client, folder, manifest: SMALL, registry: `${server.url}/npm`, timeout: TIMEOUT };
  try {
    /** @type {Map<string, string>} */
    let found = new Map();
    const installed = await tally.check(`${client.name}: installs a real application into an empty store`, async () => {
      await server.start();
      const started = performance.now();
      found = await installOnce({ ...install, keepLockfile: false });
      const asked = await server.metric('entrepot_upstream_requests_total');
      note(`${client.name}: ${found.size} packages, ${asked} upstream requests, ${seconds(started)} s`);
      assert.ok(found.size > 100, `more than 100 packages were expected, found ${found.size}`);
      assert.ok(asked > found.size, `more than ${found.size} upstream requests were expected, found ${asked}`);
    });
    if (!installed) return;
    server.repositories = { npm: { type: 'npm', upstream: `http://127.0.0.1:${await freePort()}`, ...FRESH } };
    await offline({ tally, server, install, found });
  } finally {
    await server.kill();
  }
}

/**
 * @param {object} setting
 * @param {Tally} setting.tally
 * @param {EntrepotServer} setting.server
 * @param {Omit<Parameters<typeof installOnce>[0], 'keepLockfile'>} setting.install
 * @param {Map<string, string>} setting.found by the first installation
 */
async function offline({ tally, server, install, found }) {
  const { name } = install.client;
  await tally.check(`${name}: the server starts again with its upstream refused`, async () => {
    await server.stop();
    await server.start();
  });
  for (const keepLockfile of [true, false]) {
    const how = keepLockfile ? 'its lockfile' : 'without a lockfile';
    await tally.check(`${name}: installs ${how} with the upstream refused, same integrity`, async () => {
      assert.deepEqual(sorted(await installOnce({ ...install, keepLockfile })), sorted(found));
    });
  }
  await tally.check(`${name}: every document and artifact was a hit, the upstream was asked for nothing`, async () => {
    assert.ok(server.requests.length > found.size, `more than ${found.size} logged requests were expected`);
    const missed = server.requests.filter(({ outcome }) => outcome !== undefined && outcome !== 'hit');
    // pnpm asks for attestations only when it has a lockfile, and most packages have none: nothing could be kept.
    const unknown = missed.filter(({ resource }) => resource === 'attestations');
    if (unknown.length > 0) note(`${name}: ${unknown.length} questions for attestations that were not asked before`);
    assert.deepEqual(
      missed.filter((one) => !unknown.includes(one)),
      [],
    );
    if (unknown.length === 0) assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
  });
  await tally.check(`${name}: the server stops with 0`, () => server.stop());
}

/** @param {string} folder @param {Record<string, unknown>} repositories */
async function serverIn(folder, repositories) {
  const own = join(folder, 'server');
  await mkdir(own);
  return new EntrepotServer({ folder: own, port: await freePort(), repositories });
}

/** The registry of this machine, as npm itself sees it. */
async function configuredRegistry() {
  const result = await runCommand(['npm', 'config', 'get', 'registry'], {
    cwd: process.cwd(),
    env: process.env,
    timeout: 60_000,
  });
  const url = result.stdout.trim();
  if (result.code !== 0 || !URL.canParse(url))
    throw new Error(`npm's registry: a URL was expected: ${outputOf(result)}`);
  return url;
}

/** @param {number} started */
function seconds(started) {
  return Math.round((performance.now() - started) / 1000);
}
