import { strict as assert } from 'node:assert';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Apt } from '@entrepot/fixtures/apt';
import { debFile } from '@entrepot/fixtures/deb-archive';
import { get } from '@entrepot/fixtures/get';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { withScratch } from '@entrepot/fixtures/scratch';
import { generateKey } from 'openpgp';
import { succeeded } from '../servers/deb-scene.mjs';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { Tally } from '../tally.mjs' */

const WAYS = { 'by sums': [], 'by names': ['Acquire::By-Hash=no'] };
const PASSPHRASE = 'a passphrase';
/** Uploads at the same time. */
const AT_ONCE = 20;

/**
 * A repository of one's own for the apt of this machine: packages that dpkg-deb builds and curl puts, signed and unsigned, with many uploads
 * at once and with many packages.
 * @param {Tally} tally
 * @param {{ packages: number }} size of a suite
 */
export async function debHosted(tally, { packages }) {
  if (!(await Apt.isThere()) || !(await hasTool('dpkg-deb'))) {
    note('no apt-get, gpgv, xz or dpkg-deb on this machine: hosted deb is left out');
    return;
  }
  await withScratch('deb-hosted', async (folder) => {
    const { privateKey } = await keyOf('Archive', PASSPHRASE);
    await writeFile(join(folder, 'archive.key'), privateKey);
    const users = {
      ci: { password: '${env:CI_PASSWORD}', may: 'write', names: ['stable', 'large'] },
      host: { password: '${env:HOST_PASSWORD}', may: 'read' },
    };
    const server = new EntrepotServer({
      folder,
      port: await freePort(),
      repositories: {
        packages: {
          type: 'deb',
          kind: 'hosted',
          signing: { key: `\${file:${join(folder, 'archive.key')}}`, passphrase: '${env:ARCHIVE_PASSPHRASE}' },
          validFor: '7d',
          access: { anonymous: 'none', users },
        },
        unsigned: { type: 'deb', kind: 'hosted', access: { anonymous: 'write' } },
      },
      env: { ARCHIVE_PASSPHRASE: PASSPHRASE, CI_PASSWORD: 'of-ci', HOST_PASSWORD: 'of-host' },
    });
    try {
      if (!(await tally.check('hosted deb: the server starts', () => server.start()))) return;
      await signed(tally, { folder, server });
      await unsigned(tally, { folder, server });
      await many(tally, { folder, server, packages });
    } finally {
      await server.kill();
    }
  });
}

/** @typedef {{ folder: string, server: EntrepotServer }} Scene */

/** @param {Tally} tally @param {Scene} scene */
async function signed(tally, { folder, server }) {
  const place = `${server.url}/packages`;
  const put = (/** @type {string} */ file, user = 'ci:of-ci') =>
    curl(['-u', user, '-T', file, `${place}/pool/stable/main/`]);
  const keyring = join(folder, 'packages.asc');
  const apt = async (/** @type {string} */ name, /** @type {readonly string[]} */ options = []) => {
    const client = await new Apt(join(folder, name), options).open([`deb [signed-by=${keyring}] ${place} stable main`]);
    return await client.logIn(place, 'host', 'of-host');
  };
  await tally.check('hosted deb: curl puts what dpkg-deb built, for those who may', async () => {
    // A form of dpkg-deb for each, as far as this machine has it.
    const hello = await built(folder, { name: 'hello', version: '1.0-1', form: 'xz', depends: 'greet (>= 1.0)' });
    const greet = await built(folder, { name: 'greet', version: '1.0', architecture: 'all', form: 'zstd' });
    assert.equal((await put(hello, 'host:of-host')).status, 403);
    assert.equal((await curl(['-T', hello, `${place}/pool/stable/main/`])).status, 401);
    assert.equal((await curl(['-u', 'ci:of-ci', '-T', hello, `${place}/pool/other/main/`])).status, 403);
    for (const file of [hello, greet]) assert.equal((await put(file)).status, 201);
    succeeded(await run(['curl', '-fsS', '-u', 'host:of-host', '-o', keyring, `${place}/archive-key.asc`]));
  });
  /** @type {Record<string, Apt>} */
  const clients = {};
  for (const [way, options] of Object.entries(WAYS)) {
    const client = (clients[way] = await apt(`signed ${way}`.replaceAll(' ', '-'), options));
    await tally.check(`hosted deb: apt verifies, and installs with what is needed, ${way}`, async () => {
      succeeded(await client.run('update'));
      succeeded(await client.install('hello'));
      assert.equal(await client.installed('usr/share/hello/version'), '1.0-1\n');
      assert.equal(await client.installed('usr/share/greet/version'), '1.0\n');
    });
  }
  await tally.check('hosted deb: apt takes nothing that another key would have to sign', async () => {
    const { publicKey } = await keyOf('Other');
    await writeFile(join(folder, 'other.asc'), publicKey);
    const client = await new Apt(join(folder, 'other')).open([
      `deb [signed-by=${join(folder, 'other.asc')}] ${place} stable main`,
    ]);
    const result = await (await client.logIn(place, 'host', 'of-host')).run('update');
    assert.match(outputOf(result), /NO_PUBKEY|not signed/);
  });
  await tally.check('hosted deb: apt upgrades at once, after a restart as well', async () => {
    await server.stop();
    await server.start();
    const next = await built(folder, { name: 'hello', version: '1:0.9', form: 'gzip' });
    assert.equal((await put(next)).status, 201);
    for (const client of Object.values(clients)) {
      succeeded(await client.run('update'));
      succeeded(await client.install('hello'));
      assert.equal(await client.installed('usr/share/hello/version'), '1:0.9\n');
    }
  });
  await tally.check('hosted deb: other bytes of a version are refused, and the same are not', async () => {
    const file = await built(folder, { name: 'hello', version: '1.0-1', form: 'none' });
    const refused = await put(file);
    assert.equal(refused.status, 409, refused.body);
    assert.match(refused.body, /hello_1\.0-1_amd64\.deb exists with other bytes/);
    const again = await built(folder, { name: 'again', version: '1', form: 'none' });
    assert.deepEqual([(await put(again)).status, (await put(again)).status], [201, 200]);
    const client = await apt('refused');
    succeeded(await client.run('update'));
    succeeded(await client.download('hello=1.0-1', 'again'));
  });
  await tally.check(`hosted deb: ${AT_ONCE} uploads at once are all there`, async () => {
    const names = Array.from({ length: AT_ONCE }, (_, index) => `many-${index}`);
    const files = await Promise.all(names.map((name) => built(folder, { name, version: '1', form: 'none' })));
    const replies = await Promise.all(files.map((file) => put(file)));
    assert.deepEqual(
      replies.map(({ status }) => status),
      names.map(() => 201),
    );
    for (const client of Object.values(clients)) {
      succeeded(await client.run('update'));
      succeeded(await client.install(...names));
      for (const name of names) assert.equal(await client.installed(`usr/share/${name}/version`), '1\n');
    }
  });
  await tally.check('hosted deb: a package that was deleted is in no list', async () => {
    const path = `${place}/pool/stable/main/again_1_amd64.deb`;
    assert.equal((await curl(['-u', 'ci:of-ci', '-X', 'DELETE', path])).status, 204);
    const client = await apt('deleted');
    succeeded(await client.run('update'));
    const result = await client.download('again');
    assert.match(result.stderr, /Unable to locate package again/, outputOf(result));
  });
}

/** @param {Tally} tally @param {Scene} scene */
async function unsigned(tally, { folder, server }) {
  const place = `${server.url}/unsigned`;
  await tally.check(
    'hosted deb: apt takes a repository without a key where it is trusted, and only there',
    async () => {
      const file = await built(folder, { name: 'plain', version: '1', architecture: 'all', form: 'none' });
      assert.equal((await curl(['-T', file, `${place}/pool/any/extra/`])).status, 201);
      const trusting = await new Apt(join(folder, 'trusting')).open([`deb [trusted=yes] ${place} any extra`]);
      const update = await trusting.run('update');
      assert.equal(update.code, 0, outputOf(update));
      // There are packages for all architectures alone.
      succeeded(await trusting.install('plain'));
      const strict = await new Apt(join(folder, 'strict')).open([`deb ${place} any extra`]);
      assert.match(outputOf(await strict.run('update')), /not signed/);
    },
  );
}

/** @param {Tally} tally @param {Scene & { packages: number }} scene */
async function many(tally, { folder, server, packages }) {
  const place = `${server.url}/packages/pool/large/main`;
  const headers = { authorization: `Basic ${Buffer.from('ci:of-ci').toString('base64')}` };
  await tally.check(`hosted deb: a suite of ${packages} packages`, async () => {
    const put = async (/** @type {number} */ index) => {
      const name = `package-${index}`;
      const body = debFile({ name, version: '1', architecture: 'amd64' }, Buffer.from(name));
      const started = performance.now();
      const { status } = await get(`${place}/${name}_1_amd64.deb`, { method: 'PUT', headers, body });
      assert.equal(status, 201);
      return performance.now() - started;
    };
    let next = 0;
    const worker = async () => {
      while (next < packages - 5) await put(next++);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    const times = [];
    for (; next < packages; next += 1) times.push(Math.round(await put(next)));
    note(`hosted deb: each of the last of ${packages} packages: ${times.join(', ')} ms`);
    const keyring = join(folder, 'packages.asc');
    const client = await new Apt(join(folder, 'large')).open([
      `deb [signed-by=${keyring}] ${server.url}/packages large main`,
    ]);
    await client.logIn(`${server.url}/packages`, 'host', 'of-host');
    succeeded(await client.run('update'));
    succeeded(await client.download('package-0', `package-${packages - 1}`));
  });
}

/**
 * Builds a package with dpkg-deb.
 * @param {string} folder
 * @param {{ name: string, version: string, architecture?: string, form: string, depends?: string }} about
 * @returns {Promise<string>} its path, with the name that dpkg-deb gives it
 */
async function built(folder, { name, version, architecture = 'amd64', form, depends }) {
  const tree = join(folder, 'trees', `${name}-${form}-${version.replace(':', '-')}`);
  const output = join(tree, 'built');
  const root = join(tree, 'root');
  await mkdir(join(root, 'DEBIAN'), { recursive: true });
  await mkdir(join(root, 'usr/share', name), { recursive: true });
  await mkdir(output);
  await writeFile(join(root, 'usr/share', name, 'version'), `${version}\n`);
  const fields = {
    Package: name,
    Version: version,
    Architecture: architecture,
    Maintainer: 'CI <ci@example.com>',
    Depends: depends,
    Description: `${name} of a test\n With a long description,\n .\n of several lines.`,
  };
  const lines = Object.entries(fields).flatMap(([field, value]) =>
    value === undefined ? [] : [`${field}: ${value}\n`],
  );
  await writeFile(join(root, 'DEBIAN/control'), lines.join(''));
  succeeded(await run(['dpkg-deb', '--root-owner-group', `-Z${form}`, '--build', root, output]));
  const [file] = await readdir(output);
  return join(output, file ?? '');
}

/** @param {readonly string[]} words @returns {Promise<{ status: number, body: string }>} */
async function curl(words) {
  const result = await run(['curl', '-sS', '-w', '\n%{http_code}', ...words]);
  assert.equal(result.code, 0, outputOf(result));
  const end = result.stdout.lastIndexOf('\n');
  return { status: Number(result.stdout.slice(end + 1)), body: result.stdout.slice(0, end) };
}

/** @param {readonly string[]} command */
async function run(command) {
  // Settings of this machine, such as a proxy, are not for it.
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  return await runCommand(command, { cwd: '/', env, timeout: 60_000 });
}

/** @param {string} tool */
async function hasTool(tool) {
  const result = await run(['which', tool]).catch(() => undefined);
  return result?.code === 0;
}

/** @param {string} name @param {string} [passphrase] */
async function keyOf(name, passphrase) {
  const userIDs = [{ name, email: 'archive@example.com' }];
  // Older than whatever it signs.
  const date = new Date(Date.now() - 86_400_000);
  return await generateKey({ userIDs, date, ...(passphrase !== undefined && { passphrase }) });
}
