import { strict as assert } from 'node:assert';
import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { get } from '@entrepot/fixtures/get';
import { FixtureApplication } from '@entrepot/fixtures/npm-application';
import { provideTool } from '@entrepot/fixtures/tools';
import { chooseClient } from '../../clients/npm.mjs';
import { Container, PROGRAM } from '../../servers/container.mjs';
import { freePort } from '../../servers/entrepot.mjs';
import { FixtureRegistry } from '../../servers/npm-registry.mjs';
import { postgresPrograms, startPostgres } from '../../servers/postgres.mjs';
import { RedisServer, redisProgram } from '../../servers/redis.mjs';
import { S3Server } from '../../servers/s3.mjs';
import { note } from '../../tally.mjs';
import { installOnce } from '../clients-hermetic.mjs';

/** @import { ImageSetting } from '../image.mjs' */

const CONFIGURATION = fileURLToPath(new URL('../../../deploy/compose/entrepot.full.yaml', import.meta.url));
const PASSWORD = 'for-this-test-alone';

/**
 * The image with the configuration of compose.full.yaml, over PostgreSQL, Redis and an S3 server.
 * @param {ImageSetting} setting
 */
export async function overServices({ tally, store, image, folder: above }) {
  const [programs, redisServer, s3Server] = [
    await postgresPrograms(),
    await redisProgram(),
    await provideTool('versitygw'),
  ];
  if (programs === undefined || redisServer === undefined || s3Server === undefined) {
    note('image: PostgreSQL, Redis and versitygw were expected for the configuration of compose.full.yaml: left out');
    return;
  }
  const folder = join(above, 'services');
  // PostgreSQL has a user of its own.
  await chmod(above, 0o711);
  for (const name of ['data', 'postgres']) await mkdir(join(folder, name), { recursive: true });
  await chown(join(folder, 'data'), 10001, 10001);
  const registry = await new FixtureRegistry(new FixtureApplication()).start();
  const postgres = await startPostgres(programs, join(folder, 'postgres'));
  await postgres.create('entrepot');
  const redis = new RedisServer(redisServer, PASSWORD);
  await redis.start();
  const s3 = new S3Server(s3Server, join(folder, 's3'));
  await s3.start();
  const { bucket, endpoint, credentials } = s3.storage('');
  const port = await freePort();
  const container = new Container(store, {
    image,
    name: 'services',
    mounts: [
      [CONFIGURATION, '/etc/entrepot/entrepot.yaml'],
      [join(folder, 'data'), '/data', 'rw'],
    ],
    env: {
      // As in compose.full.yaml.
      DATABASE_PASSWORD: PASSWORD,
      REDIS_PASSWORD: PASSWORD,
      S3_SECRET: s3.env.S3_SECRET,
      TOKEN_KEY: 't'.repeat(32),
      // Where the services are here.
      ENTREPOT_SERVER_LISTEN: `127.0.0.1:${port}`,
      ENTREPOT_METADATA_HOST: '127.0.0.1',
      ENTREPOT_METADATA_PORT: `${postgres.port}`,
      ENTREPOT_METADATA_USER: 'test',
      ENTREPOT_STORAGE_BUCKET: bucket,
      ENTREPOT_STORAGE_ENDPOINT: endpoint,
      ENTREPOT_STORAGE_CREDENTIALS_ACCESS_KEY_ID: credentials.accessKeyId,
      ENTREPOT_CACHE_URL: `redis://127.0.0.1:${redis.port}/0`,
      ENTREPOT_REPOSITORIES_NPM_UPSTREAM: registry.url,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await tally.check('image: npm installs through it over PostgreSQL, Redis and S3', async () => {
      await container.start(url);
      const { manifest } = new FixtureApplication();
      const options = { client: chooseClient('npm'), folder, manifest, registry: `${url}/npm`, keepLockfile: false };
      assert.ok((await installOnce(options)).size > 250);
      const objects = await readdir(s3.folderOf(''), { recursive: true });
      assert.ok(objects.length > 250, `more than 250 objects were expected in the bucket, found ${objects.length}`);
      assert.deepEqual((await readdir(join(folder, 'data'))).toSorted(), ['admin.token', 'copies', 'spool']);
    });
    await tally.check('image: doctor finds its database, its store and its cache', async () => {
      const { stdout } = await container.exec([...PROGRAM, 'doctor', '--json']);
      /** @type {{ status: string, check: string }[]} */
      const findings = JSON.parse(stdout);
      for (const wanted of ['storage', 'metadata', 'cache'])
        assert.deepEqual(
          findings.filter(({ check }) => check === wanted).map(({ status }) => status),
          ['ok'],
          stdout,
        );
    });
    await tally.check('image: it stops with 0 over services, too', async () => {
      assert.equal((await get(`${url}/-/readyz`)).status, 200);
      assert.equal(await container.stop(), 0);
    });
  } finally {
    await container.remove();
    await Promise.all([postgres.stop(), redis.kill(), s3.kill(), registry.stop()]);
  }
}
