import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { chown, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { get } from '@entrepot/fixtures/get';
import { Origin } from '@entrepot/fixtures/origin';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { Container } from '../../servers/container.mjs';
import { freePort } from '../../servers/entrepot.mjs';

/** @import { ImageSetting } from '../image.mjs' */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const NAME = 'entrepot-plugin-acme';
const RELEASE = Buffer.from('a release');
/** The packages that core needs. */
const OF_CORE = ['saxes', 'xmlchars'];

/**
 * A plugin that is no part of the image, made from the template: in a folder that is mounted, and installed by a build.
 * @param {ImageSetting} setting
 */
export async function plugins({ tally, store, folder, image }) {
  const upstream = await new Origin((request, response) => {
    const base = `http://${request.headers.host}`;
    if (request.url === '/tool/tool-1.0.0.tar.gz') return response.end(RELEASE);
    const sha256 = createHash('sha256').update(RELEASE).digest('hex');
    const release = { version: '1.0.0', file: 'tool-1.0.0.tar.gz', url: `${base}/tool/tool-1.0.0.tar.gz`, sha256 };
    response.setHeader('content-type', 'application/json');
    return response.end(JSON.stringify({ name: 'tool', latest: '1.0.0', releases: [release] }));
  }).start();
  try {
    const made = join(folder, 'plugin');
    if (!(await tally.check('image: a plugin is made from the template', () => make(made)))) return;
    const setting = { store, folder, upstream };
    await tally.check('image: a plugin in a mounted folder is loaded, and serves', async () => {
      const mounted = join(folder, 'plugins');
      // As `npm install --prefix plugins` leaves it, with the core that the plugin asks for.
      await cp(made, join(mounted, 'node_modules', NAME), { recursive: true });
      for (const part of ['package.json', 'dist'])
        await cp(join(ROOT, 'core', part), join(mounted, 'node_modules/@entrepot/core', part), { recursive: true });
      for (const name of OF_CORE)
        await cp(join(ROOT, 'node_modules', name), join(mounted, 'node_modules', name), { recursive: true });
      await serves({ ...setting, image, name: 'mounted', plugins: [mounted, '/plugins'] });
    });
    await tally.check('image: a plugin that a build installs is loaded, and serves', async () => {
      const registry = await packages(made, folder).start();
      try {
        const npmrc = join(folder, 'npmrc');
        const own = await readFile(join(homedir(), '.npmrc'), 'utf8').catch(() => '');
        await writeFile(npmrc, `${own}\nregistry=${registry.url}/\n`);
        const extended = `${image}-extended`;
        await store.build(extended, { arguments: { PLUGINS: `${NAME}@0.1.0` }, npmrc });
        await serves({ ...setting, image: extended, name: 'extended' });
        // One core: what the plugin throws is an error of the server's own.
        const links = await store.find(extended, ['-path', '*/plugins/node_modules/@entrepot/core', '-type', 'l']);
        assert.equal(links.length, 1);
      } finally {
        await registry.stop();
      }
    });
  } finally {
    await upstream.stop();
  }
}

/**
 * @param {object} options
 * @param {ImageSetting['store']} options.store
 * @param {string} options.folder
 * @param {Origin} options.upstream
 * @param {string} options.image
 * @param {string} options.name
 * @param {readonly [string, string]} [options.plugins] a folder, and where it is mounted
 */
async function serves({ store, folder, upstream, image, name, plugins: mounted }) {
  const [data, settings, port] = [join(folder, name, 'data'), join(folder, name, 'etc'), await freePort()];
  await mkdir(data, { recursive: true });
  await mkdir(settings);
  await chown(data, 10001, 10001);
  const configuration = {
    server: { listen: `127.0.0.1:${port}` },
    plugins: [NAME],
    repositories: { acme: { type: 'acme', upstream: upstream.url } },
  };
  await writeFile(join(settings, 'entrepot.yaml'), JSON.stringify(configuration));
  const mounts = [
    /** @type {const} */ ([settings, '/etc/entrepot']),
    /** @type {const} */ ([data, '/data', 'rw']),
    ...(mounted === undefined ? [] : [mounted]),
  ];
  const container = new Container(store, { image, name, mounts });
  try {
    await container.start(`http://127.0.0.1:${port}`);
    const index = JSON.parse((await get(`http://127.0.0.1:${port}/acme/tool/index.json`)).body.toString());
    const { status, body } = await get(index.releases[0].url);
    assert.equal(status, 200, body.toString());
    assert.ok(body.equals(RELEASE));
    // An error that the plugin throws has the status of its kind also where the plugin has another copy of core.
    assert.equal((await get(`http://127.0.0.1:${port}/acme/tool/index.json`, { method: 'PUT' })).status, 405);
    assert.equal(await container.stop(), 0);
  } finally {
    await container.remove();
  }
}

/** Makes the package of the plugin of the template, compiled as its author would. @param {string} folder */
async function make(folder) {
  const source = join(folder, '..', 'plugin-source');
  await cp(join(ROOT, 'templates/protocol-plugin'), source, { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'));
  const compiler = [process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '--project', source];
  const compiled = await runCommand(compiler, { cwd: source, env: process.env, timeout: 120_000 });
  assert.equal(compiled.code, 0, outputOf(compiled));
  await cp(join(source, 'dist'), join(folder, 'dist'), { recursive: true });
  // With what it depends on, so that no registry is asked for that.
  await cp(join(ROOT, 'node_modules/zod'), join(folder, 'node_modules/zod'), { recursive: true });
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, bundleDependencies: ['zod'] }));
}

/** A registry that has the plugin and nothing else. @param {string} made @param {string} folder */
function packages(made, folder) {
  return new Origin(async (request, response) => {
    if (request.url === `/${NAME}.tgz`) return response.end(await pack(made, folder));
    if (request.url === `/${NAME}`) {
      const manifest = JSON.parse(await readFile(join(made, 'package.json'), 'utf8'));
      const integrity = `sha512-${createHash('sha512')
        .update(await pack(made, folder))
        .digest('base64')}`;
      const dist = { tarball: `http://${request.headers.host}/${NAME}.tgz`, integrity };
      const versions = { [manifest.version]: { ...manifest, dist } };
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify({ name: NAME, 'dist-tags': { latest: manifest.version }, versions }));
    }
    response.statusCode = 404;
    return response.end();
  });
}

/** @param {string} made @param {string} folder */
async function pack(made, folder) {
  const result = await runCommand(['npm', 'pack', '--silent', '--pack-destination', folder, made], {
    cwd: folder,
    env: process.env,
    timeout: 60_000,
  });
  assert.equal(result.code, 0, outputOf(result));
  return await readFile(join(folder, result.stdout.trim()));
}
