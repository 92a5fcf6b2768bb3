import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@entrepot/fixtures/get';
import { withScratch } from '@entrepot/fixtures/scratch';
import { parse } from 'yaml';
import { EntrepotServer, freePort } from '../../servers/entrepot.mjs';
import { podsOf, variablesOf } from './configuration.mjs';
import { configurationOf } from '@entrepot/fixtures/helm-chart';

/** @import { Manifest } from '@entrepot/fixtures/helm-chart' */

const REPOSITORIES = { npm: null, files: { type: 'files', kind: 'hosted', access: { anonymous: 'write' } } };

/** Values for a server that needs nothing of the network. */
export const OFFLINE = { repositories: REPOSITORIES, server: { drainDelay: '0s' } };

/**
 * Runs the server with a rendered configuration and the environment of its pod; only paths and the address are those of this machine.
 * @param {readonly Manifest[]} manifests
 * @param {(server: EntrepotServer, env: Record<string, string>) => Promise<void>} use
 */
export async function runRendered(manifests, use) {
  const [pod] = podsOf(manifests);
  if (pod === undefined) throw new Error('a pod was expected');
  const env = variablesOf(pod);
  await withScratch('chart-server', async (folder) => {
    const local = (/** @type {string} */ path) => join(folder, path.slice(1));
    for (const path of ['/data/metadata', '/var/lib/entrepot']) await mkdir(local(path), { recursive: true });
    const { repositories, server, ...more } = parse(
      configurationOf(manifests).replaceAll(/(?<=: )\/(?:data|var\/lib\/entrepot)\S*/g, local),
    );
    const port = await freePort();
    const running = new EntrepotServer({
      folder,
      port,
      repositories,
      more: { ...more, server: { ...server, listen: `127.0.0.1:${port}` } },
      env,
    });
    try {
      await running.start();
      await use(running, env);
      await running.stop();
    } finally {
      await running.kill();
    }
  });
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
