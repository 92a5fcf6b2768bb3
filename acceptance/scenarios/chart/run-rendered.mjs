import { strict as assert } from 'node:assert';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { configurationOf } from '@entrepot/fixtures/helm-chart';
import { withScratch } from '@entrepot/fixtures/scratch';
import { provideTool } from '@entrepot/fixtures/tools';
import { parse } from 'yaml';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { postgresPrograms, startPostgres } from '../../servers/postgres.mjs';
import { S3Server } from '../../servers/s3.mjs';
import { podsOf, variablesOf } from './configuration.mjs';

/** @import { Manifest } from '@entrepot/fixtures/helm-chart' */

const REPOSITORIES = { npm: null, files: { type: 'files', kind: 'hosted', access: { anonymous: 'write' } } };

/** Values for a server that needs nothing of the network. */
export const OFFLINE = { repositories: REPOSITORIES, server: { drainDelay: '0s' } };

/**
 * Makes a server with a rendered configuration and the environment of its pod; only paths and addresses are those of this machine.
 * @param {readonly Manifest[]} manifests @param {string} folder of its own @param {Record<string, string>} [more] what secrets hold
 */
async function localServer(manifests, folder, more = {}) {
  const [pod] = podsOf(manifests);
  if (pod === undefined) throw new Error('a pod was expected');
  const env = { ...variablesOf(pod), ...more };
  const local = (/** @type {string} */ path) => join(folder, path.slice(1));
  for (const path of ['/data/metadata', '/var/lib/entrepot']) await mkdir(local(path), { recursive: true });
  const [port, own] = [await freePort(), await freePort()];
  const text = configurationOf(manifests)
    .replaceAll(/(?<=: )\/(?:data|var\/lib\/entrepot)\S*/g, local)
    .replaceAll(/(?<=listen: ):8080/g, `127.0.0.1:${port}`)
    .replaceAll(/(?<=listen: ):8090/g, `127.0.0.1:${own}`)
    .replaceAll(/(?<=\}):8090/g, `:${own}`);
  const { repositories, ...rest } = parse(text);
  return { server: new EntrepotServer({ folder, port, repositories, more: rest, env }), env };
}

/**
 * Runs one server with a rendered configuration.
 * @param {readonly Manifest[]} manifests
 * @param {(server: EntrepotServer, env: Record<string, string>) => Promise<void>} use
 */
export async function runRendered(manifests, use) {
  await withScratch('chart-server', async (folder) => {
    const { server, env } = await localServer(manifests, folder);
    try {
      await server.start();
      await use(server, env);
      await server.stop();
    } finally {
      await server.kill();
    }
  });
}

/**
 * Runs two servers with what the chart makes for several, over a real database and a real store of objects.
 * @param {(values: Record<string, unknown>) => Promise<Manifest[]>} render
 * @returns {Promise<boolean>} whether this machine has these
 */
export async function runSeveral(render) {
  const programs = await postgresPrograms();
  const versitygw = await provideTool('versitygw');
  if (programs === undefined || versitygw === undefined) return false;
  await withScratch('chart-servers', async (folder) => {
    // PostgreSQL has a user of its own.
    await chmod(folder, 0o711);
    const [database, objects] = [join(folder, 'postgres'), join(folder, 's3')];
    await mkdir(database);
    await mkdir(objects);
    const postgres = await startPostgres(programs, database);
    const bucket = new S3Server(versitygw, objects);
    /** @type {EntrepotServer[]} */
    const servers = [];
    try {
      await postgres.create('entrepot');
      await bucket.start();
      const { endpoint, bucket: name, credentials } = bucket.storage('');
      const manifests = await render({
        ...OFFLINE,
        replicaCount: { server: 2 },
        storage: { backend: 's3', s3: { endpoint, bucket: name, existingSecret: 'bucket' } },
        metadata: {
          backend: 'postgresql',
          postgresql: {
            host: '127.0.0.1',
            port: postgres.port,
            user: 'test',
            existingSecret: 'database',
            tls: { mode: 'disable' },
          },
        },
      });
      const secrets = { S3_ACCESS_KEY_ID: credentials.accessKeyId, S3_SECRET_ACCESS_KEY: bucket.env.S3_SECRET };
      for (const pod of ['one', 'two']) {
        const { server } = await localServer(manifests, join(folder, pod), secrets);
        servers.push(server);
        await server.start();
      }
      await useSeveral(servers);
    } finally {
      for (const server of servers) await server.kill();
      await bucket.kill();
      await postgres.stop();
    }
  });
  return true;
}

/** Publishes to each server, and reads it from the other one, also when the first is gone. @param {readonly EntrepotServer[]} servers */
async function useSeveral([one, two]) {
  if (one === undefined || two === undefined) throw new Error('two servers were expected');
  for (const [from, to] of [
    [one, two],
    [two, one],
  ]) {
    const path = `/files/${from?.port}.txt`;
    const put = await fetch(`${from?.url}${path}`, { method: 'PUT', body: path });
    assert.equal(put.status, 201, await put.text());
    assert.equal((await get(`${to?.url}${path}`)).body.toString(), path);
  }
  await one.stop();
  assert.equal((await get(`${two.url}/files/${one.port}.txt`)).status, 200);
  await two.stop();
}

/** Uses what the chart sets up: a repository, both probes, tokens. @param {EntrepotServer} server @param {Record<string, string>} env @param {{ [key: string]: any }} container */
export async function useServer(server, env, container) {
  const { url } = server;
  const put = await fetch(`${url}/files/a.txt`, { method: 'PUT', body: 'kept' });
  assert.equal(put.status, 201, await put.text());
  assert.equal((await get(`${url}/files/a.txt`)).body.toString(), 'kept');
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    assert.equal((await get(url + container[probe].httpGet.path)).status, 200, probe);
  }
  const bearer = (/** @type {string | undefined} */ token) => ({ headers: { authorization: `Bearer ${token}` } });
  assert.equal((await fetch(`${url}/metrics`)).status, 401);
  assert.equal((await fetch(`${url}/metrics`, bearer(env.METRICS_TOKEN))).status, 200);
  assert.equal((await fetch(`${url}/-/api/v1/usage`)).status, 401);
  const usage = await fetch(`${url}/-/api/v1/usage`, bearer(env.ADMIN_TOKEN));
  assert.equal(usage.status, 200, await usage.text());
}
