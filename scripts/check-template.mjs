// What third parties do: make a plugin of each template by the packed create-plugin, install the packed tarballs of what is
// published here, build, run the kits, install the plugins beside a packed host, and use them. Catches what no test on the
// sources can: a missing export, a file that is not packed, a dependency that is not declared.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { PUBLISHED } from './published.mjs';
import { setUp } from './setup.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const INSTALL = ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
const MINUTE = 60_000;

let passed = 0;
let failed = 0;

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

setUp();
await withScratch('template', async (folder) => {
  const tarballs = await step('pack', () => pack(join(folder, 'tarballs')));
  const plugins = join(folder, 'plugins');
  await step('make a plugin of each template', () => createPlugins(plugins, tarballs));
  await step('install what they need', () => installPlugins(plugins, tarballs));
  for (const { name, template } of PLUGINS)
    await step(`build the ${template} plugin and run its kit`, () => run(join(plugins, name), ['npm', 'test']));
  const site = join(folder, 'site');
  await step('install them beside the host', () => installSite(site, plugins, tarballs));
  await step('use them', () => withUpstream((upstream) => useThem(site, upstream)));
}).catch((/** @type {Error} */ error) => process.stdout.write(`${error.message}\n`));
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

/**
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function step(name, work) {
  const started = performance.now();
  try {
    const result = await work();
    passed += 1;
    process.stdout.write(`ok ${name} (${Math.round((performance.now() - started) / 1000)} s)\n`);
    return result;
  } catch (error) {
    failed += 1;
    process.stdout.write(`not ok ${name}\n`);
    throw error;
  }
}

/**
 * @param {string} folder
 * @param {readonly string[]} command
 */
async function run(folder, command) {
  // The name of a workspace's own npm settings must not leak into folders outside of it.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const result = await runCommand(command, { cwd: folder, env, timeout: 5 * MINUTE });
  if (result.code !== 0) throw new Error(`${command.join(' ')}: ${outputOf(result)}`);
  return result;
}

/**
 * Packs what is published.
 * @param {string} folder
 * @returns {Promise<Record<string, string>>} the tarballs by the names of their packages, as dependencies name them
 */
async function pack(folder) {
  await mkdir(folder, { recursive: true });
  const workspaces = PUBLISHED.flatMap((workspace) => ['--workspace', workspace]);
  const command = ['npm', 'pack', '--json', '--silent', '--pack-destination', folder, ...workspaces];
  return tarballsIn(await run(ROOT, command), folder);
}

/**
 * @param {{ stdout: string }} result of `npm pack --json`
 * @param {string} folder
 * @returns {Record<string, string>}
 */
function tarballsIn({ stdout }, folder) {
  /** @type {{ name: string, filename: string }[]} */
  const packed = JSON.parse(stdout);
  return Object.fromEntries(packed.map(({ name, filename }) => [name, `file:${join(folder, basename(filename))}`]));
}

/**
 * Makes the plugins as `npm create` does: by the program of the packed package.
 * @param {string} folder
 * @param {Record<string, string>} tarballs
 */
async function createPlugins(folder, tarballs) {
  const program = join(folder, 'create');
  const dependencies = { '@entrepot/create-plugin': tarballs['@entrepot/create-plugin'] };
  await mkdir(program, { recursive: true });
  await writeFile(join(program, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await run(program, INSTALL);
  for (const { name, template } of PLUGINS) {
    await run(folder, [join(program, 'node_modules/.bin/create-plugin'), name, '--template', template]);
    const ignored = await readFile(join(folder, name, '.gitignore'), 'utf8');
    expect(ignored.includes('node_modules'), `expected node_modules in the .gitignore of ${name}, found ${ignored}`);
  }
}

/**
 * Installs the dependencies of the plugins, which all have the same ones, and so share one installation.
 * @param {string} folder
 * @param {Record<string, string>} tarballs
 */
async function installPlugins(folder, tarballs) {
  const [first = '', ...others] = PLUGINS.map(({ name }) => join(folder, name));
  const wanted = await dependenciesOf(first);
  const manifest = JSON.parse(await readFile(join(first, 'package.json'), 'utf8'));
  manifest.devDependencies['@entrepot/core'] = tarballs['@entrepot/core'];
  await writeFile(join(first, 'package.json'), JSON.stringify(manifest));
  await run(first, INSTALL);
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
 * @param {string} folder
 * @param {string} plugins
 * @param {Record<string, string>} tarballs
 */
async function installSite(folder, plugins, tarballs) {
  /** @type {Record<string, string>} */
  const dependencies = { ...tarballs };
  for (const { name } of PLUGINS) {
    const plugin = join(plugins, name);
    Object.assign(dependencies, tarballsIn(await run(plugin, ['npm', 'pack', '--json', '--silent']), plugin));
  }
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'site', private: true, dependencies }));
  await run(folder, INSTALL);
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
  const child = spawn(join(site, 'node_modules/.bin/entrepot'), ['serve'], {
    cwd: site,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  try {
    const base = await urlOf(child);
    await fetchThrough(`${base}/tools`, upstream);
    await publish(`${base}/shelf`);
    const kept = await readdir(join(site, 'cellar'), { recursive: true });
    expect(kept.includes('layout.json'), `expected a store in the folder of the plugin, found ${kept.join(' ')}`);
    child.kill('SIGTERM');
    const [code] = await ended;
    expect(code === 0, `expected exit code 0 after SIGTERM, found ${code}`);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
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

/**
 * The URL that the server says it listens on.
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, import('node:stream').Readable>} child
 * @returns {Promise<string>}
 */
async function urlOf(child) {
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the server did not start within a minute:\n${output}`)), MINUTE);
    child.once('close', () => reject(new Error(`the server ended before it served:\n${output}`)));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      const url = /"listen":\["(http:[^"]+)"/.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

/**
 * @param {boolean} condition
 * @param {string} message
 */
function expect(condition, message) {
  if (!condition) throw new Error(message);
}
