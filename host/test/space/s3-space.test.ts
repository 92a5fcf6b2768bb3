import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { digestOf } from '@entrepot/core/testing';
import { type BlobStore, silentLogger } from '@entrepot/core';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { openBlobs } from '../../src/container/open-stores.js';
import { createHost } from '../../src/create-host.js';
import { TestProcess } from '../cli/test-context.js';
import { BUCKET, s3Missing, s3Program, S3Server } from '../drivers/blob/s3-server.js';

const program = s3Program('gofakes3');
if (program === undefined) console.log(s3Missing('gofakes3'));

describe.skipIf(program === undefined)('a server over S3', () => {
  const env = { S3_SECRET: 'entrepot-secret' };
  let starting: Promise<S3Server> | undefined;
  let cwd: string;
  let blobs: BlobStore;
  afterAll(async () => await (await starting)?.stop());

  beforeEach(async (test) => {
    starting ??= S3Server.start('gofakes3', program as string);
    cwd = await mkdtemp(path.join(tmpdir(), 'entrepot-s3-space-'));
    const storage = {
      backend: 's3',
      bucket: BUCKET,
      endpoint: (await starting).endpoint,
      prefix: test.task.id.replaceAll(/[^\w]/g, '-'),
      credentials: { accessKeyId: 'entrepot', secretAccessKey: '${env:S3_SECRET}' },
      gc: { grace: '0s' },
    };
    const repositories = { files: { type: 'files', kind: 'hosted', overwrite: true } };
    const written = { server: { listen: '127.0.0.1:0' }, storage, log: { level: 'silent' }, repositories };
    // JSON is YAML.
    await writeFile(path.join(cwd, 'entrepot.yaml'), JSON.stringify(written));
    const { config } = await loadConfig({ env, cwd });
    expect(config.storage.spool.path).toBe(path.join(cwd, 'data', 'spool'));
    blobs = await openBlobs(config.storage, silentLogger);
  });
  afterEach(async () => {
    await blobs.dispose();
    await rm(cwd, { recursive: true, force: true });
  });

  async function serve<T>(work: (url: string) => Promise<T>): Promise<T> {
    const host = await createHost(await loadConfig({ env, cwd }));
    try {
      const [main] = await host.listen();
      return await work(main?.url as string);
    } finally {
      await host.close();
    }
  }

  async function run(...words: string[]): Promise<TestProcess> {
    const terminal = new TestProcess(cwd);
    terminal.env = env;
    expect(await terminal.run(...words)).toBe(0);
    return terminal;
  }

  it('keeps uploads over a restart, and deletes what nobody needs', async () => {
    await serve(async (url) => {
      for (const body of ['one', 'two']) {
        expect((await fetch(`${url}/files/a`, { method: 'PUT', body })).ok).toBe(true);
      }
    });
    await run('gc');
    const { output } = await run('gc', '--json');
    expect(JSON.parse(output.join(''))).toMatchObject({ looked: 1 });
    const left = (await Array.fromAsync(blobs.list())).map(({ digest }) => digest);
    expect(left).toEqual([digestOf('two')]);
    expect(await serve(async (url) => await (await fetch(`${url}/files/a`)).text())).toBe('two');
  });

  it('finds what the database does not know by a listing of the bucket', async () => {
    await serve(async (url) => void (await fetch(`${url}/files/a`, { method: 'PUT', body: 'known' })));
    const bytes = Buffer.from('unknown');
    await blobs.put(digestOf(bytes), bytes.length, { bytes, open: () => expect.unreachable() });
    const { output } = await run('gc', '--reconcile', '--json');
    expect(JSON.parse(output.join(''))).toMatchObject({ found: 1 });
  });

  it('refuses a database that is that of another store', async () => {
    await serve(async () => {});
    await blobs.setStoreId?.('another');
    await expect(createHost(await loadConfig({ env, cwd }))).rejects.toThrow('do not belong together');
  });

  it('is examined by the doctor', async () => {
    const terminal = new TestProcess(cwd);
    terminal.env = env;
    await terminal.run('doctor', '--json');
    const findings = JSON.parse(terminal.output.join('\n')) as { readonly check: string }[];
    expect(findings.find(({ check }) => check === 'storage')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining(`s3://${BUCKET}/`),
    });
  });
});
