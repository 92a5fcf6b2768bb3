import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { silentLogger } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { makeCertificate } from '../drivers/certificates.js';
import { freePort } from '../free-port.js';
import { TestProcess } from './test-context.js';

/** A server that was not started yet, and what is asked for its health. */
async function prepare(more: string) {
  const cwd = await mkdtemp(path.join(tmpdir(), 'entrepot-health-'));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  const port = await freePort();
  await writeFile(path.join(cwd, 'entrepot.yaml'), `server: { listen: ":${port}"${more} }\nrepositories: {}\n`);
  const health = async () => {
    const process = new TestProcess(cwd);
    return { code: await process.run('health'), output: process.output, errors: process.errors };
  };
  return { health, port, loaded: await loadConfig({ env: {}, cwd }) };
}

it.each([
  ['plain HTTP', 'http', () => ''],
  [
    'HTTPS, with a certificate for another address',
    'https',
    () => {
      const { cert, key } = makeCertificate('192.0.2.1');
      return `, tls: { cert: "${cert}", key: "${key}" }`;
    },
  ],
])('says over %s whether the server is ready', async (_what, scheme, tls) => {
  const { health, port, loaded } = await prepare(tls());
  const nobody = await health();
  expect(nobody).toMatchObject({ code: 1, output: [] });
  expect(nobody.errors).toEqual([
    `entrepot: no server answers at ${scheme}://127.0.0.1:${port}/-/readyz (ECONNREFUSED); is it running?`,
  ]);
  const host = await createHost(loaded, { logger: silentLogger });
  onTestFinished(() => host.close());
  await host.listen();
  expect(await health()).toEqual({ code: 0, output: [expect.stringContaining('"status":"ok"')], errors: [] });
});
