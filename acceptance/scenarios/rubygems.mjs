import { strict as assert } from 'node:assert';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { get } from '@entrepot/fixtures/get';
import { AdvisoryFolder } from '@entrepot/fixtures/policy-packages';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { buildGem, GemServer } from '../servers/gem-server.mjs';
import { note } from '../tally.mjs';
import { until } from './policy-databases.mjs';

/** @import { Tally } from '../tally.mjs' */

const PLUGIN = fileURLToPath(new URL('../plugins/rubygems', import.meta.url));
const OLD = '2026-01-02T03:04:05Z';
const POLICY = {
  rules: [
    { id: 'denied-by-name', match: { purl: ['pkg:gem/demo'], versions: ['>1.1.0.rc1 <1.2'] }, action: 'deny' },
    { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' },
    { id: 'cooldown', match: { kinds: ['proxy'] }, when: { age: { lt: '7d' } }, action: 'deny' },
  ],
};
/** Versions of `demo` that are refused, and by which rule. */
const REFUSED = { '1.1.0': 'denied-by-name', '1.2.0': 'vulnerable', '1.3.0': 'cooldown' };
const KEY = 'publisher:only-for-this-test';

/**
 * A plugin that is loaded by its path: real `gem` and `bundle` behind a proxy with a policy, and with a hosted repository.
 * @param {Tally} tally
 */
export async function rubygems(tally) {
  await tally.check('rubygems: the plugin passes the kits', async () => {
    const command = [process.execPath, '--test', join(PLUGIN, 'test', 'conformance.test.mjs')];
    const result = await runCommand(command, { cwd: PLUGIN, env: process.env, timeout: 120_000 });
    assert.equal(result.code, 0, outputOf(result));
  });
  await withScratch('rubygems', async (folder) => {
    const env = await environment(folder);
    const version = await runCommand(['bundle', '--version'], { cwd: folder, env, timeout: 60_000 }).catch(
      () => undefined,
    );
    if (version?.code !== 0) {
      note('no `bundle` on this machine: RubyGems is left out');
      return;
    }
    note(version.stdout.trim());
    const upstream = await new GemServer(join(folder, 'upstream'), env).start();
    const advisories = new AdvisoryFolder(join(folder, 'advisories'));
    await advisories.add('RubyGems', 'GHSA-test-0000-0001', { name: 'demo', versions: ['1.2.0'] });
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        gems: { type: 'rubygems', upstream: upstream.url, cache: { info: { freshFor: 0 }, versions: { freshFor: 0 } } },
        own: {
          type: 'rubygems',
          kind: 'hosted',
          access: { anonymous: 'read', users: { publisher: { password: '${env:GEM_PASSWORD}', may: 'write' } } },
        },
      },
      more: {
        plugins: [PLUGIN],
        policy: POLICY,
        scanners: [{ type: 'osv', from: advisories.path, directory: join(folder, 'osv') }],
      },
      env: { GEM_PASSWORD: KEY.split(':')[1] ?? '' },
    });
    try {
      await upstream.publish(published());
      await tally.check('rubygems: the server starts with the plugin, and has its advisory database', async () => {
        await server.start();
        await until('the database', async () => {
          const { scanners } = JSON.parse((await get(`${server.url}/-/api/v1/scans`)).body.toString());
          return scanners[0].databaseDate !== undefined;
        });
      });
      const scene = { tally, folder, env, server, upstream };
      await proxied(scene);
      await hosted(scene);
      await tally.check('rubygems: the server stops with 0', () => server.stop());
    } finally {
      await server.kill();
      await upstream.stop();
    }
  });
}

/** Versions upstream. Of `helper`, the API alone has dates. */
function published() {
  const demo = Object.keys({ '1.0.0': '', ...REFUSED }).map((version) => ({
    name: 'demo',
    version,
    publishedAt: version === '1.3.0' ? new Date().toISOString() : OLD,
    dependencies: { helper: '~> 1.0' },
  }));
  const helper = ['1.0.0', '1.1.0'].map((version) => ({
    name: 'helper',
    version,
    publishedAt: version === '1.1.0' ? new Date().toISOString() : OLD,
    isDated: false,
  }));
  return [...demo, ...helper];
}

/**
 * @typedef {object} Scene
 * @property {Tally} tally
 * @property {string} folder
 * @property {NodeJS.ProcessEnv} env
 * @property {EntrepotServer} server
 * @property {GemServer} upstream
 */

/** @param {Scene} scene */
async function proxied({ tally, folder, env, server, upstream }) {
  const source = `${server.url}/gems/`;
  const place = { folder, env, source };
  await tally.check('rubygems: bundle install finds the newest versions that policy lets in', async () => {
    assert.deepEqual(await bundled(place, "gem 'demo'"), ['1.0.0', '1.0.0']);
  });
  await tally.check('rubygems: gem install finds the newest versions that policy lets in', async () => {
    const result = await gem(place, ['install', 'demo', '--no-document', '--clear-sources', '--source', source]);
    assert.equal(result.code, 0, outputOf(result));
    assert.match(result.stdout, /Successfully installed helper-1\.0\.0\nSuccessfully installed demo-1\.0\.0\n/);
  });
  for (const [version, rule] of Object.entries(REFUSED)) {
    await tally.check(`rubygems: demo ${version} is refused by the rule ${rule}, and listed nowhere`, async () => {
      for (const path of [`gems/demo-${version}.gem`, `quick/Marshal.4.8/demo-${version}.gemspec.rz`]) {
        const { status, body } = await get(source + path);
        assert.equal(status, 403, `${path}: ${body}`);
        assert.match(body.toString(), new RegExp(rule));
      }
      const info = await get(`${source}info/demo`);
      assert.ok(!info.body.includes(`${version} `), info.body.toString());
      const bundle = await install(place, `gem 'demo', '${version}'`);
      assert.notEqual(bundle.code, 0, outputOf(bundle));
      assert.match(outputOf(bundle), /Could not find gem 'demo \(= \d\.\d\.0\)'/);
      const pinned = ['install', 'demo', '--version', version, '--no-document', '--clear-sources', '--source', source];
      const direct = await gem(place, pinned);
      assert.notEqual(direct.code, 0, outputOf(direct));
    });
  }
  await tally.check('rubygems: what was appended is fetched as a range, and checked against the tag', async () => {
    await upstream.publish([{ name: 'demo', version: '1.0.1', publishedAt: OLD, dependencies: { helper: '~> 1.0' } }]);
    assert.deepEqual(await bundled(place, "gem 'demo'", ['bundle', 'update', '--all']), ['1.0.1', '1.0.0']);
    for (const wanted of ['/gems/versions', '/gems/info/demo']) {
      await until(`a part of ${wanted}`, async () =>
        server.requests.some(({ path, status }) => path === wanted && status === 206),
      );
    }
  });
  await tally.check('rubygems: gem list reads the older indexes', async () => {
    const listed = await gem(place, ['list', '--remote', '--clear-sources', '--source', source]);
    assert.match(listed.stdout, /^demo \(/m, outputOf(listed));
  });
  await upstream.stop();
  await tally.check('rubygems: bundle install does the same with the upstream gone', async () => {
    assert.deepEqual(await bundled(place, "gem 'demo'"), ['1.0.1', '1.0.0']);
  });
}

/** @param {Scene} scene */
async function hosted({ tally, folder, env, server }) {
  const source = `${server.url}/own/`;
  const place = { folder, env, source };
  const host = ['--host', source.slice(0, -1)];
  await mkdir(join(folder, 'own', 'gems'), { recursive: true });
  const built = (/** @type {string} */ version) =>
    buildGem(join(folder, 'own', 'gems'), { name: 'tool', version, publishedAt: OLD }, env);
  const files = [await built('1.0.0'), await built('1.1.0'), await built('2.0.0.pre1')];
  await tally.check('rubygems: gem push needs a key that may write', async () => {
    const wrong = await gem(place, ['push', String(files[0]), ...host], 'publisher:wrong');
    assert.notEqual(wrong.code, 0, outputOf(wrong));
    assert.match(outputOf(wrong), /Wrong user name or password/);
  });
  await tally.check('rubygems: gem push publishes with a bare key, each version once', async () => {
    for (const file of files) {
      const pushed = await gem(place, ['push', file, ...host], KEY);
      assert.equal(pushed.code, 0, outputOf(pushed));
      assert.match(pushed.stdout, /Successfully registered gem: tool/);
    }
    const again = await gem(place, ['push', String(files[0]), ...host], KEY);
    assert.notEqual(again.code, 0, outputOf(again));
  });
  await tally.check('rubygems: bundle install finds what was pushed', async () => {
    const result = await install(place, "gem 'tool'");
    assert.match(result.stdout, /Installing tool 1\.1\.0/, outputOf(result));
  });
  await tally.check('rubygems: gem yank takes a version away', async () => {
    const yanked = await gem(place, ['yank', 'tool', '--version', '1.1.0', ...host], KEY);
    assert.match(yanked.stdout, /Successfully deleted gem: tool-1\.1\.0/, outputOf(yanked));
    assert.equal((await get(`${source}gems/tool-1.1.0.gem`)).status, 404);
    await rm(join(folder, 'home', 'bundle'), { recursive: true });
    const result = await install(place, "gem 'tool'");
    assert.match(result.stdout, /Installing tool 1\.0\.0/, outputOf(result));
  });
}

/** The environment of clients that share nothing with this machine's. @param {string} folder */
async function environment(folder) {
  const home = join(folder, 'home');
  await mkdir(home, { recursive: true });
  const { PATH } = process.env;
  return { PATH, HOME: home, GEM_HOME: join(home, 'gems'), LANG: 'C.UTF-8', BUNDLE_PATH: join(home, 'bundle') };
}

/** @typedef {{ folder: string, env: NodeJS.ProcessEnv, source: string }} Place */

/** @param {Place} place @param {readonly string[]} args @param {string} [key] */
async function gem({ folder, env }, args, key) {
  const keyed = key === undefined ? env : { ...env, GEM_HOST_API_KEY: key };
  return await runCommand(['gem', ...args], { cwd: folder, env: keyed, timeout: 60_000 });
}

/** Installs a bundle anew. @param {Place} place @param {string} line of the Gemfile @param {readonly string[]} [command] */
async function install({ folder, env, source }, line, command = ['bundle', 'install']) {
  const project = join(folder, 'project');
  await rm(project, { recursive: true, force: true });
  await mkdir(project);
  await writeFile(join(project, 'Gemfile'), `source '${source}'\n${line}\n`);
  return await runCommand(command, { cwd: project, env, timeout: 60_000 });
}

/** The versions of `demo` and `helper` that a bundle has. @param {Place} place @param {string} line @param {readonly string[]} [command] */
async function bundled(place, line, command) {
  const result = await install(place, line, command);
  assert.equal(result.code, 0, outputOf(result));
  const script = "require 'demo'; require 'helper'; puts DEMO, HELPER";
  const ran = await runCommand(['bundle', 'exec', 'ruby', '-e', script], {
    cwd: join(place.folder, 'project'),
    env: place.env,
    timeout: 60_000,
  });
  assert.equal(ran.code, 0, outputOf(ran));
  return ran.stdout.trim().split('\n');
}
