// What a third party does: copies templates/protocol-plugin out of the repository, installs the packed tarballs of what is
// published here, builds, runs the kit, installs the plugin beside a packed host, and fetches through it. Catches what no
// test on the sources can: a missing export, a file that is not packed, a dependency that is not declared.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { PUBLISHED } from './published.mjs';
import { setUp } from './setup.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const INSTALL = ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
const MINUTE = 60_000;

let passed = 0;
let failed = 0;

setUp();
await withScratch('template', async (folder) => {
  const tarballs = await step('pack', () => pack(join(folder, 'tarballs')));
  const plugin = join(folder, 'entrepot-plugin-acme');
  await step('install the plugin against the tarballs', () => installPlugin(plugin, tarballs));
  await step('build it', () => run(plugin, ['npm', 'run', 'build']));
  await step('run the kit', () => run(plugin, ['npm', 'test']));
  const site = join(folder, 'site');
  await step('install it beside the host', () => installSite(site, plugin, tarballs));
  await step('fetch through it', () => withUpstream((upstream) => fetchThrough(site, upstream)));
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
  /** @type {Record<string, string>} */
  const tarballs = {};
  for (const workspace of PUBLISHED) {
    const { stdout } = await run(join(ROOT, workspace), ['npm', 'pack', '--json', '--pack-destination', folder]);
    const [{ name, filename }] = JSON.parse(stdout);
    tarballs[name] = `file:${join(folder, basename(filename))}`;
  }
  return tarballs;
}

/**
 * @param {string} folder
 * @param {Record<string, string>} tarballs
 */
async function installPlugin(folder, tarballs) {
  await cp(join(ROOT, 'templates/protocol-plugin'), folder, {
    recursive: true,
    filter: (path) => !/[\\/](node_modules|dist)$/.test(path),
  });
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  manifest.devDependencies['@entrepot/core'] = tarballs['@entrepot/core'];
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  await run(folder, INSTALL);
}

/**
 * @param {string} folder
 * @param {string} plugin
 * @param {Record<string, string>} tarballs
 */
async function installSite(folder, plugin, tarballs) {
  const { stdout } = await run(plugin, ['npm', 'pack', '--json']);
  const [{ name, filename }] = JSON.parse(stdout);
  const dependencies = { ...tarballs, [name]: `file:${join(plugin, basename(filename))}` };
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'site', private: true, dependencies }));
  await run(folder, INSTALL);
}

/**
 * An upstream of the template's ecosystem, with one release. `asked` holds the paths that it was asked for.
 * @typedef {{ url: string, asked: string[], body: string, stop(): void }} Upstream
 * @param {(upstream: Upstream) => Promise<void>} use
 */
async function withUpstream(use) {
  const body = 'the files of hammer 1.0.0';
  const sha256 = createHash('sha256').update(body).digest('hex');
  /** @type {string[]} */
  const asked = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const release = {
      version: '1.0.0',
      file: 'hammer-1.0.0.tar.gz',
      url: `${origin()}/hammer/hammer-1.0.0.tar.gz`,
      sha256,
    };
    const isIndex = url === '/hammer/index.json';
    response.setHeader('Content-Type', isIndex ? 'application/json' : 'application/gzip');
    response.end(isIndex ? JSON.stringify({ name: 'hammer', latest: '1.0.0', releases: [release] }) : body);
  });
  const origin = () => `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  try {
    await use({ url: origin(), asked, body, stop });
  } finally {
    stop();
  }
}

/**
 * @param {string} site
 * @param {Upstream} upstream
 */
async function fetchThrough(site, upstream) {
  await writeFile(
    join(site, 'entrepot.yaml'),
    `server: { listen: "127.0.0.1:0" }
plugins: ["entrepot-plugin-acme"]
repositories: { acme: { type: acme, upstream: "${upstream.url}" } }
`,
  );
  const child = spawn(join(site, 'node_modules/.bin/entrepot'), ['serve'], {
    cwd: site,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  try {
    const base = `${await urlOf(child)}/acme`;
    const index = /** @type {{ releases: { url: string }[] }} */ (
      await (await fetch(`${base}/hammer/index.json`)).json()
    );
    const url = index.releases[0]?.url ?? '';
    expect(url === `${base}/hammer/hammer-1.0.0.tar.gz`, `expected the release under ${base}, found ${url}`);
    expect((await (await fetch(url)).text()) === upstream.body, 'expected the bytes of the release');
    upstream.stop();
    const again = await fetch(url);
    expect((await again.text()) === upstream.body, 'expected the bytes of the release with the upstream gone');
    expect(again.headers.get('x-cache') === 'HIT', `expected a hit, found ${again.headers.get('x-cache')}`);
    const { length } = upstream.asked;
    expect(length === 2, `expected two requests to the upstream, found ${upstream.asked.join(' ')}`);
    child.kill('SIGTERM');
    const [code] = await ended;
    expect(code === 0, `expected exit code 0 after SIGTERM, found ${code}`);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
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
