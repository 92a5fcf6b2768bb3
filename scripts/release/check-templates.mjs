// Does what authors of plugins do: make one of each template by the published create-plugin, install what it needs, build, run the
// kits, install the plugins beside a bare host, and use them. Catches what no test on the sources can: a missing export, a
// file that is not packed, a dependency that is not declared.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { withServer } from './installed-server.mjs';
import { pack } from './pack.mjs';
import { run } from './run.mjs';
import { expect } from './steps.mjs';

/** @import { Steps } from './steps.mjs' */

/**
 * The plugins that are made, one of each template. Their names are not those in the templates.
 * @type {readonly { name: string, template: string }[]}
 */
const PLUGINS = [
  { name: 'entrepot-plugin-tools', template: 'protocol' },
  { name: 'entrepot-plugin-tool-shelf', template: 'hosted' },
  { name: 'entrepot-scanner-bulletins', template: 'scanner' },
  { name: 'entrepot-storage-cellar', template: 'store' },
];

/**
 * @typedef {Readonly<Record<string, string>>} Env settings of an npm whose registry has what is published here
 * @param {{ scratch: string, env: Env, steps: Steps }} options
 */
export async function checkTemplates({ scratch, env, steps }) {
  const plugins = join(scratch, 'plugins');
  await steps.step('npm create @entrepot/plugin: a plugin of each template', () => createPlugins(plugins, env));
  await steps.step('install what they need', () => installPlugins(plugins, env));
  for (const { name, template } of PLUGINS)
    await steps.step(`build the ${template} plugin and run its kit`, () => run(join(plugins, name), ['npm', 'test']));
  const site = join(scratch, 'site');
  await steps.step('install them beside the bare host', () => installSite(site, plugins, env));
  await steps.step('use them', () => withUpstream((upstream) => useThem(site, upstream)));
}

/** @param {string} folder @param {Env} env */
async function createPlugins(folder, env) {
  await mkdir(folder);
  for (const { name, template } of PLUGINS) {
    await run(folder, ['npm', 'create', '--yes', '@entrepot/plugin', name, '--', '--template', template], env);
    const ignored = await readFile(join(folder, name, '.gitignore'), 'utf8');
    expect(ignored.includes('node_modules'), `expected node_modules in the .gitignore of ${name}, found ${ignored}`);
  }
}

/**
 * Installs the dependencies of the plugins, which all have the same ones, and so share one installation.
 * @param {string} folder
 * @param {Env} env
 */
async function installPlugins(folder, env) {
  const [first = '', ...others] = PLUGINS.map(({ name }) => join(folder, name));
  const wanted = await dependenciesOf(first);
  await run(first, ['npm', 'install'], env);
  for (const other of others) {
    const found = await dependenciesOf(other);
    expect(found === wanted, `${other}: expected the dependencies of the other templates, ${wanted}, found ${found}`);
    await symlink(join(first, 'node_modules'), join(other, 'node_modules'), 'junction');
  }
}

/** @param {string} plugin */
async function dependenciesOf(plugin) {
  const { dependencies, devDependencies, peerDependencies } = JSON.parse(
    await readFile(join(plugin, 'package.json'), 'utf8'),
  );
  return JSON.stringify({ dependencies, devDependencies, peerDependencies });
}

/**
 * @param {string} site
 * @param {string} plugins
 * @param {Env} env
 */
async function installSite(site, plugins, env) {
  await mkdir(site);
  await writeFile(join(site, 'package.json'), '{ "name": "site", "private": true }');
  const packed = await Promise.all(PLUGINS.map(({ name }) => pack(join(plugins, name), site)));
  const tarballs = packed.flat().map(({ file }) => file);
  await run(site, ['npm', 'install', '@entrepot/host', ...tarballs], env);
}

/**
 * An upstream of the template's ecosystem, with two releases. `asked` holds the paths that it was asked for.
 * @typedef {{ url: string, asked: string[], stop(): void }} Upstream
 * @param {(upstream: Upstream) => Promise<void>} use
 */
async function withUpstream(use) {
  /** @type {string[]} */
  const asked = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const releases = ['1.0.0', '1.1.0'].map((version) => {
      const file = fileOf(version);
      const sha256 = createHash('sha256').update(filesOf(version)).digest('hex');
      return { version, file, url: `${origin()}/hammer/${file}`, sha256 };
    });
    const release = releases.find(({ file }) => url === `/hammer/${file}`);
    response.setHeader('Content-Type', release === undefined ? 'application/json' : 'application/gzip');
    response.end(release === undefined ? JSON.stringify({ name: 'hammer', releases }) : filesOf(release.version));
  });
  const origin = () => `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  try {
    await use({ url: origin(), asked, stop });
  } finally {
    stop();
  }
}

/** @param {string} version */
function fileOf(version) {
  return `hammer-${version}.tar.gz`;
}

/** @param {string} version */
function filesOf(version) {
  return gzipSync(`the files of hammer ${version}`);
}

/**
 * @param {string} site
 * @param {Upstream} upstream
 */
async function useThem(site, upstream) {
  const advisory = { id: 'BULLETIN-1', ecosystem: 'generic', name: 'hammer', versions: ['1.0.0'], severity: 'high' };
  const database = { ecosystems: ['generic'], date: '2026-01-01T00:00:00Z', advisories: [advisory] };
  const rule = { id: 'vulnerable', when: { vuln: { severity: '>=high' } }, action: 'deny' };
  const configuration = {
    server: { listen: '127.0.0.1:0' },
    plugins: PLUGINS.map(({ name }) => name),
    storage: { backend: 'cellar', folder: 'cellar' },
    repositories: {
      tools: { type: 'tools', upstream: upstream.url },
      shelf: { type: 'tool-shelf', kind: 'hosted', maxBytes: '1MiB' },
    },
    scanners: [{ type: 'bulletins', database: 'advisories.json' }],
    policy: { file: 'policy.yaml' },
  };
  await writeFile(join(site, 'advisories.json'), JSON.stringify(database));
  await writeFile(join(site, 'policy.yaml'), JSON.stringify({ version: 1, rules: [rule] }));
  await writeFile(join(site, 'entrepot.yaml'), JSON.stringify(configuration));
  await withServer(site, [join(site, 'node_modules/.bin/entrepot-host'), 'serve'], {}, async (base) => {
    await fetchThrough(`${base}/tools`, upstream);
    await publish(`${base}/shelf`);
    const kept = await readdir(join(site, 'cellar'), { recursive: true });
    expect(kept.includes('layout.json'), `expected a store in the folder of the plugin, found ${kept.join(' ')}`);
  });
}

/**
 * Fetches a release; the scanner holds something against the other one.
 * @param {string} base
 * @param {Upstream} upstream
 */
async function fetchThrough(base, upstream) {
  const { latest, releases } = /** @type {{ latest: string, releases: { url: string }[] }} */ (
    await (await fetch(`${base}/hammer/index.json`)).json()
  );
  const url = `${base}/hammer/${fileOf('1.1.0')}`;
  expect(
    latest === '1.1.0' && releases.length === 1 && releases[0]?.url === url,
    `expected ${url} in the index alone, found ${JSON.stringify(releases)}`,
  );
  const denied = await fetch(`${base}/hammer/${fileOf('1.0.0')}`);
  const reason = await denied.text();
  expect(denied.status === 403 && reason.includes('BULLETIN-1'), `expected a denial, found ${denied.status} ${reason}`);
  await expectBytes(url, filesOf('1.1.0'));
  upstream.stop();
  const again = await expectBytes(url, filesOf('1.1.0'));
  expect(again.headers.get('x-cache') === 'HIT', `expected a hit, found ${again.headers.get('x-cache')}`);
  const { length } = upstream.asked;
  expect(length === 2, `expected two requests to the upstream, found ${upstream.asked.join(' ')}`);
}

/**
 * Publishes a release, finds it in the index, and removes it.
 * @param {string} base
 */
async function publish(base) {
  const url = `${base}/hammer/${fileOf('1.1.0')}`;
  const index = `${base}/hammer/index.json`;
  const put = async () => (await fetch(url, { method: 'PUT', body: filesOf('1.1.0') })).status;
  expect((await put()) === 201, 'expected 201 for a new release');
  expect((await put()) === 409, 'expected 409 for a release that is there');
  await expectBytes(url, filesOf('1.1.0'));
  expect((await (await fetch(index)).text()).includes(url), `expected ${url} in the index`);
  const { status } = await fetch(url, { method: 'DELETE' });
  expect(status === 204, `expected 204 for a deletion, found ${status}`);
  expect((await fetch(index)).status === 404, 'expected 404 for the index of nothing');
}

/**
 * @param {string} url
 * @param {Buffer} expected
 */
async function expectBytes(url, expected) {
  const reply = await fetch(url);
  expect(expected.equals(Buffer.from(await reply.arrayBuffer())), `expected the bytes of ${url}`);
  return reply;
}
