import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { until } from '../policy/support.js';

const API = '/-/api/v1/gc';

async function open() {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-gc-api-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const repositories = 'repositories: { own: { type: files, kind: hosted, overwrite: true } }';
  writeFileSync(join(folder, 'entrepot.yaml'), `storage: { gc: { grace: 0s } }\n${repositories}\n`);
  const env = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0' };
  const host = await createHost(await loadConfig({ env, cwd: folder }), { logger: silentLogger });
  onTestFinished(() => host.close());
  const [{ url }] = (await host.listen()) as [{ url: string }];
  return async (method: string, path: string, body?: string) => {
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(url + path, { method, headers, body: body ?? null });
    const text = await reply.text();
    return { status: reply.status, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
  };
}

it('deletes what nothing points at, and tells how much', async () => {
  const ask = await open();
  expect((await ask('GET', API)).json).toEqual({});
  await ask('PUT', '/own/a', 'first');
  await ask('PUT', '/own/a', 'second one');
  const run = async (form: object) => {
    expect((await ask('POST', API, JSON.stringify(form))).status).toBe(202);
    await until(async () => (await ask('GET', API)).json.run.state !== 'running');
    return (await ask('GET', API)).json.run;
  };
  const gone = { condemned: { blobs: 1, bytes: 5 } };
  expect(await run({ dryRun: true })).toMatchObject({ ...gone, state: 'done', dryRun: true, deleted: { blobs: 0 } });
  expect(await run({ batchSize: 10 })).toMatchObject({ ...gone, state: 'done', deleted: { blobs: 1, bytes: 5 } });
  expect((await ask('GET', '/own/a')).text).toBe('second one');
});

it.each([
  ['{"dry":true}', 'dry: unknown key; expected dryRun, reconcile, force, batchSize'],
  ['{"force":"yes"}', 'force: expected true or false'],
  ['{"batchSize":1}', 'batchSize: expected a whole number from 10 to 10000'],
])('refuses %s', async (form, message) => {
  const ask = await open();
  const { status, text } = await ask('POST', API, form);
  expect([status, text]).toEqual([400, expect.stringContaining(message)]);
  expect((await ask('DELETE', API)).status).toBe(404);
});
