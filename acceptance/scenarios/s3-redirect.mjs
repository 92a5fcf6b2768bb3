import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { ImageSet, TYPES } from '@entrepot/fixtures/oci-images';
import { Origin } from '@entrepot/fixtures/origin';
import { pushSet } from '@entrepot/fixtures/push-images';
import { outputOf, runCommand } from '@entrepot/fixtures/run-command';
import { tarball } from '@entrepot/fixtures/tar';
import { provideTool } from '@entrepot/fixtures/tools';
import { gzipSync } from 'node:zlib';
import { EntrepotServer, freePort } from '../servers/entrepot.mjs';
import { note } from '../tally.mjs';

/** @import { S3Server } from '../servers/s3.mjs' */
/** @import { Tally } from '../tally.mjs' */

const SIZE = 2_000_000;
const USER = { username: 'reader', password: 'reader-password' };

/**
 * Clients that are sent to the bucket for large artifacts, with a URL that serves them by itself.
 * @param {Tally} tally
 * @param {S3Server} bucket
 * @param {string} folder
 */
export async function s3Redirect(tally, bucket, folder) {
  await mkdir(folder);
  const env = { ...bucket.env, READER: USER.password };
  const npm = npmPackage('large');
  const origin = new Origin((request, response) => npm(request, response));
  await origin.start();
  const storage = bucket.storage('redirect');
  // By another name than the server: clients take no credentials along.
  const endpoint = storage.endpoint.replace('127.0.0.1', 'localhost');
  const repositories = {
    npm: { type: 'npm', upstream: origin.url },
    files: {
      type: 'files',
      kind: 'hosted',
      access: { users: { reader: { password: '${env:READER}', may: 'write' } } },
    },
    images: { type: 'oci', kind: 'hosted' },
  };
  const more = { storage: { ...storage, endpoint, redirect: {} } };
  const server = new EntrepotServer({ folder, port: await freePort(), repositories, env, more });
  /** The number of redirects so far. */
  const redirects = async () => {
    const lines = (await get(`${server.url}/metrics`)).body.toString().split('\n');
    const counts = lines.filter((line) => line.startsWith('entrepot_requests_total{') && line.includes('status="307"'));
    return counts.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  try {
    if (!(await tally.check('s3: a server that redirects starts', () => server.start()))) return;

    await tally.check('s3: curl fetches a large file from the bucket, once it was let in', async () => {
      const body = randomBytes(SIZE);
      const authorization = `Basic ${Buffer.from(`${USER.username}:${USER.password}`).toString('base64')}`;
      const url = `${server.url}/files/large.bin`;
      const put = await get(url, { method: 'PUT', body, headers: { authorization } });
      assert.equal(put.status, 201);
      const file = join(folder, 'large.bin');
      const curl = (/** @type {readonly string[]} */ words) =>
        runCommand(['curl', '-sS', '-o', file, '-w', '%{http_code} %{content_type} %{num_redirects}', ...words, url], {
          cwd: folder,
          env: { ...process.env, NO_PROXY: 'localhost,127.0.0.1' },
          timeout: 30_000,
        });
      const user = ['-u', `${USER.username}:${USER.password}`];
      assert.match((await curl(user)).stdout, /^307 /);
      assert.equal((await curl(['-L', ...user])).stdout, '200 application/octet-stream 1');
      assert.ok((await readFile(file)).equals(body), 'the bytes that were put were expected');
      assert.equal((await curl(['-L', ...user, '-r', '10-19'])).stdout, '206 application/octet-stream 0');
      assert.ok((await readFile(file)).equals(body.subarray(10, 20)));
      assert.match((await curl(['-L', '-I', ...user])).stdout, /^200 .* 0$/);
      assert.match((await curl(['-L'])).stdout, /^401 .* 0$/);
    });

    await tally.check('s3: npm installs a large package from the bucket', async () => {
      for (const [round, expected] of [0, 1].entries()) {
        const before = await redirects();
        const home = join(folder, `npm-${round}`);
        await mkdir(home);
        const words = [
          'npm',
          'install',
          'large@1.0.0',
          '--registry',
          `${server.url}/npm/`,
          '--cache',
          join(home, 'cache'),
        ];
        const result = await runCommand([...words, '--no-audit', '--no-fund', '--ignore-scripts'], {
          cwd: home,
          env: { ...process.env, HOME: home, NO_PROXY: 'localhost,127.0.0.1', no_proxy: 'localhost,127.0.0.1' },
          timeout: 60_000,
        });
        assert.equal(result.code, 0, outputOf(result));
        const bytes = await readFile(join(home, 'node_modules/large/data.bin'));
        assert.equal(bytes.length, SIZE);
        assert.equal((await redirects()) - before, expected, `redirects in round ${round}`);
      }
    });

    const skopeo = await provideTool('skopeo');
    if (skopeo === undefined) return;
    await tally.check('s3: skopeo copies an image whose layer is in the bucket', async () => {
      const set = new ImageSet('large');
      const layer = set.blob(gzipSync(randomBytes(SIZE)), TYPES.layer);
      const config = set.blob(
        Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers' } })),
        TYPES.config,
      );
      set.manifest(TYPES.manifest, { config, layers: [layer] }, ['1.0']);
      await pushSet(server.url, set, undefined, 'images/large');
      const before = await redirects();
      const to = join(folder, 'image');
      const from = `docker://127.0.0.1:${server.port}/images/large:1.0`;
      const words = [skopeo, 'copy', '--insecure-policy', '--src-tls-verify=false', from, `dir:${to}`];
      const result = await runCommand(words, { cwd: folder, env: { ...process.env, HOME: folder }, timeout: 60_000 });
      assert.equal(result.code, 0, outputOf(result));
      const name = layer.digest.slice('sha256:'.length);
      assert.ok((await readdir(to)).includes(name), 'the layer was expected in the copy');
      assert.equal(
        createHash('sha256')
          .update(await readFile(join(to, name)))
          .digest('hex'),
        name,
      );
      assert.equal((await redirects()) - before, 1);
    });
    note(`s3: ${await redirects()} redirects to the bucket`);
    await tally.check('s3: the server that redirects stops with 0', () => server.stop());
  } finally {
    await server.kill();
    await origin.stop();
  }
}

/** A registry with one package. @param {string} name */
function npmPackage(name) {
  const manifest = { name, version: '1.0.0' };
  const archive = tarball({
    'package/package.json': { body: JSON.stringify(manifest) },
    // It does not get smaller.
    'package/data.bin': { body: randomBytes(SIZE) },
  });
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  return ({ url, headers: { host } }, response) => {
    if (url === `/${name}/-/${name}-1.0.0.tgz`) {
      response.setHeader('content-type', 'application/octet-stream');
      response.end(archive);
    } else if (url === `/${name}`) {
      const dist = { tarball: `http://${host}/${name}/-/${name}-1.0.0.tgz`, integrity };
      response.setHeader('content-type', 'application/json');
      const versions = { '1.0.0': { ...manifest, dist } };
      response.end(JSON.stringify({ name, 'dist-tags': { latest: '1.0.0' }, versions }));
    } else {
      response.statusCode = 404;
      response.end();
    }
  };
}
