import { strict as assert } from 'node:assert';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { Apt } from '@entrepot/fixtures/apt';
import { DEBIAN_KEYRING, debianSources } from '@entrepot/fixtures/debian-sources';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { CountingRelay } from '../servers/counting-relay.mjs';
import { succeeded } from '../servers/deb-scene.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { DebianSource } from '@entrepot/fixtures/debian-sources' */
/** @import { Tally } from '../tally.mjs' */

/** With what they recommend they are some 320 packages. */
const DOWNLOADED = ['build-essential', 'git', 'python3-venv', 'nginx-light', 'vim', 'postgresql', 'openssh-server'];
/** Installed into a system of its own: with that they are some 250 packages. */
const INSTALLED = ['build-essential', 'git', 'python3-venv', 'nginx-light', 'vim', 'cmake', 'ruby', 'openssh-client'];
const SOURCES = ['hello', 'zlib', 'vim'];
const LEAST = { downloaded: 300, installed: 200 };
const TIMEOUT = 900_000;
/** Longer than any run, so that "nothing was asked" can be counted. */
const FRESH = { generations: { freshFor: '1d' } };

/**
 * The archives of this machine: one of them as a repository, behind a relay that can refuse connections.
 * @typedef {{ name: string, source: DebianSource, relay: CountingRelay }} Archive
 */

/**
 * @typedef {object} Setting
 * @property {Tally} tally
 * @property {string} folder
 * @property {readonly Archive[]} archives
 * @property {EntrepotServer} server
 * @property {string} mmdebstrap
 */

/**
 * apt and mmdebstrap on Debian's archives, with the signatures enforced: hundreds of packages, sources and whole systems, by sums and
 * by names, from the server and by it as an HTTP proxy. Then all of it once more, with the upstream refusing connections.
 * @param {Tally} tally
 */
export async function aptReal(tally) {
  const sources = await debianSources();
  const mmdebstrap = await provideTool('mmdebstrap');
  if (sources.length === 0 || mmdebstrap === undefined || !(await Apt.isThere()) || process.getuid?.() !== 0) {
    note('apt: a machine of Debian with mmdebstrap, and its root, were expected: real archives are left out');
    return;
  }
  await withScratch('apt-real', async (folder) => {
    const archives = await Promise.all(
      sources.map(async (source, index) => {
        const relay = await new CountingRelay(source.url).start();
        return { name: index === 0 ? 'debian' : `debian-${index + 1}`, source, relay };
      }),
    );
    const definition = (/** @type {Archive} */ { relay }) => ({
      type: 'deb',
      upstream: relay.url,
      signatures: { mode: 'enforce', keyrings: [DEBIAN_KEYRING] },
      cache: FRESH,
    });
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: Object.fromEntries(archives.map((archive) => [archive.name, definition(archive)])),
    });
    try {
      await run({ tally, folder, archives, server, mmdebstrap });
    } finally {
      await server.kill();
      await Promise.all(archives.map(({ relay }) => relay.stop()));
    }
  });
}

/** @param {Setting} setting */
async function run(setting) {
  const { tally, archives, server } = setting;
  await server.start();
  note(`apt: load of the machine: ${loadavg()[0]?.toFixed(1)}`);
  const times = {
    direct: await bootstrap(setting, 'past the server', ({ source }) => source.url),
    cold: await bootstrap(setting, 'from an empty store', ({ name }) => `${server.url}/${name}`),
  };
  note(
    `apt: ${await server.metric('entrepot_upstream_requests_total')} upstream requests for a system of an empty store`,
  );
  await everything(setting, '');
  const before = await server.metric('entrepot_upstream_requests_total');
  const warm = await bootstrap(setting, 'from a store that has it', ({ name }) => `${server.url}/${name}`);
  await tally.check('apt: a system that the store has costs no upstream request', async () => {
    assert.equal((await server.metric('entrepot_upstream_requests_total')) - before, 0);
  });
  const shown = Object.entries({ ...times, warm }).map(([way, seconds]) => `${way} ${seconds.toFixed(1)} s`);
  note(`apt: mmdebstrap: ${shown.join(', ')}; load of the machine: ${loadavg()[0]?.toFixed(1)}`);
  note(`apt: ${before} upstream requests in all`);
  await tally.check('apt: no index file and no package was asked of the upstream twice', () => {
    const more = archives
      .flatMap(({ relay }) => [...relay.requests])
      .filter(([name, times]) => times > 1 && /\/(?:pool|by-hash)\//.test(name));
    assert.deepEqual(more, []);
  });
  // Nothing listens on their ports any more: connections are refused.
  await Promise.all(archives.map(({ relay }) => relay.stop()));
  await server.stop();
  await server.start();
  const offline = await bootstrap(setting, 'with the upstream refused', ({ name }) => `${server.url}/${name}`);
  note(`apt: mmdebstrap with the upstream refused: ${offline.toFixed(1)} s`);
  await everything(setting, ', with the upstream refused');
  await tally.check('apt: with everything kept, the upstream was asked for nothing', async () => {
    assert.equal(await server.metric('entrepot_upstream_requests_total'), 0);
    assert.deepEqual(server.errors, []);
  });
  await tally.check('apt: the server stops with 0', () => server.stop());
}

/** Everything but the whole minimal system. @param {Setting} setting @param {string} when */
async function everything(setting, when) {
  const { server } = setting;
  const here = (/** @type {Archive} */ { name }) => `${server.url}/${name}`;
  const proxied = [`Acquire::http::Proxy=${server.url}`];
  const there = (/** @type {Archive} */ { relay }) => relay.url;
  await downloads(setting, `by sums${when}`, { urlOf: here, options: [] });
  await downloads(setting, `by names${when}`, { urlOf: here, options: ['Acquire::By-Hash=no'] });
  await downloads(setting, `as a proxy, by sums${when}`, { urlOf: there, options: proxied });
  await downloads(setting, `as a proxy, by names${when}`, {
    urlOf: there,
    options: [...proxied, 'Acquire::By-Hash=no'],
  });
  await installs(setting, when, here);
}

/**
 * Packages with what they need and recommend, and source packages.
 * @param {Setting} setting @param {string} way
 * @param {{ urlOf: (archive: Archive) => string, options: readonly string[] }} how
 */
async function downloads({ tally, folder, archives }, way, { urlOf, options }) {
  const root = join(folder, 'client');
  const client = new Apt(root, options);
  await tally.check(`apt: updates and downloads hundreds of packages, ${way}`, async () => {
    await client.open(linesOf(archives, urlOf, ['deb', 'deb-src']));
    const started = performance.now();
    succeeded(await client.run('update'));
    const updated = performance.now();
    succeeded(await client.download(...DOWNLOADED));
    const found = (await client.archives()).length;
    const [update, install] = [updated - started, performance.now() - updated].map((time) => (time / 1000).toFixed(1));
    note(`apt: update ${update} s, ${found} packages ${install} s, ${way}`);
    assert.ok(found >= LEAST.downloaded, `at least ${LEAST.downloaded} packages were expected, found ${found}`);
  });
  await tally.check(`apt: downloads source packages, ${way}`, async () => {
    succeeded(await client.run('source', '--download-only', ...SOURCES));
    const descriptions = (await readdir(root)).filter((name) => name.endsWith('.dsc'));
    assert.equal(descriptions.length, SOURCES.length);
  });
  await rm(root, { recursive: true, force: true });
}

/** A system with a few hundred packages, each of them configured. @param {Setting} setting @param {string} when @param {(archive: Archive) => string} urlOf */
async function installs(setting, when, urlOf) {
  await setting.tally.check(`apt: hundreds of packages are installed into a system of their own${when}`, async () => {
    const include = [`--include=${INSTALLED.join(',')}`];
    const root = await make(setting, linesOf(setting.archives, urlOf, ['deb']), include);
    const listed = await runCommand(
      ['dpkg-query', `--admindir=${root}/var/lib/dpkg`, '-W', '-f', '${db:Status-Status}\n'],
      {
        cwd: '/',
        env: process.env,
        timeout: 60_000,
      },
    );
    const states = listed.stdout.trim().split('\n');
    assert.deepEqual(new Set(states), new Set(['installed']));
    assert.ok(
      states.length >= LEAST.installed,
      `at least ${LEAST.installed} packages were expected, found ${states.length}`,
    );
    note(`apt: ${states.length} packages were installed${when}`);
    await rm(root, { recursive: true, force: true });
  });
}

/** A whole minimal system with its updates. @param {Setting} setting @param {string} way @param {(archive: Archive) => string} urlOf @returns {Promise<number>} how long it took, in seconds */
async function bootstrap(setting, way, urlOf) {
  let seconds = NaN;
  await setting.tally.check(`apt: mmdebstrap makes a whole minimal system, ${way}`, async () => {
    const started = performance.now();
    const root = await make(setting, linesOf(setting.archives, urlOf, ['deb']), []);
    seconds = (performance.now() - started) / 1000;
    await rm(root, { recursive: true, force: true });
  });
  return seconds;
}

/** @param {Setting} setting @param {readonly string[]} lines of sources.list @param {readonly string[]} flags @returns {Promise<string>} the root of the system */
async function make({ folder, archives, mmdebstrap }, lines, flags) {
  const suite = archives[0]?.source.suites[0] ?? '';
  const root = join(folder, 'system');
  await mkdir(root, { recursive: true });
  const command = [mmdebstrap, '--quiet', '--variant=minbase', ...flags, suite, root, ...lines];
  // Settings of this machine, such as a proxy, are not for it.
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', TMPDIR: folder };
  const result = await runCommand(command, { cwd: folder, env, timeout: TIMEOUT });
  assert.equal(result.code, 0, outputOf(result));
  return root;
}

/** @param {readonly Archive[]} archives @param {(archive: Archive) => string} urlOf @param {readonly ('deb' | 'deb-src')[]} types */
function linesOf(archives, urlOf, types) {
  return archives.flatMap((archive) => {
    const { suites, components } = archive.source;
    const place = (/** @type {string} */ suite) =>
      `[signed-by=${DEBIAN_KEYRING}] ${urlOf(archive)} ${suite} ${components.join(' ')}`;
    return suites.flatMap((suite) => types.map((type) => `${type} ${place(suite)}`));
  });
}
