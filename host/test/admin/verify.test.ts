import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Digest } from '@entrepot/core';
import { FakeUpstream } from '@entrepot/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { createHost } from '../../src/create-host.js';
import { basic } from '../access/server.js';
import { TestProcess } from '../cli/test-context.js';
import { until } from '../policy/support.js';
import { flipBit } from '../space/damage.js';
import { digestOfBytes } from '../space/support.js';

const API = '/-/api/v1/verify';
const SMALL = Buffer.from('a small file');
const LARGE = Buffer.alloc(700 * 1024, 'a large file ');
const UPLOAD = Buffer.alloc(600 * 1024, 'an upload ');
const NOTE = Buffer.from('a small upload');
const ANN = basic('ann', 'of ann');

/** A server over an upstream with files, and with uploads of `ann`. Nothing is in memory for long. */
async function open() {
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  upstream.serve('/small.txt', { body: SMALL });
  upstream.serve('/large.bin', { body: LARGE });
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-verify-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(
    join(folder, 'entrepot.yaml'),
    `cache: { maxBytes: 0 }
repositories:
  up: { type: files, upstream: "${upstream.url}", rules: [{ match: "**", policy: immutable }] }
  own: { type: files, kind: hosted, access: { anonymous: read, users: { ann: { password: "\${env:ANN}", may: write } } } }
`,
  );
  const env = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ANN: 'of ann' };
  const host = await createHost(await loadConfig({ env, cwd: folder }), { logger: silentLogger });
  onTestFinished(() => host.close());
  const [{ url }] = (await host.listen()) as [{ url: string }];
  const ask = async (method: string, path: string, body?: Buffer | object, authorization?: string) => {
    const sent = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const headers = {
      ...(authorization !== undefined && { authorization }),
      ...(body !== undefined && !Buffer.isBuffer(body) && { 'content-type': 'application/json' }),
    };
    const reply = await fetch(url + path, { method, headers, body: (sent as string | undefined) ?? null });
    const bytes = Buffer.from(await reply.arrayBuffer());
    const isJson = reply.headers.get('content-type')?.includes('json') === true;
    return { status: reply.status, bytes, json: isJson ? JSON.parse(bytes.toString()) : undefined };
  };
  const fileOf = (digest: Digest) => join(folder, 'data/blobs/v1/sha256', digest.slice(7, 9), digest.slice(7));
  return {
    upstream,
    folder,
    env,
    url,
    host,
    ask,
    put: (path: string, bytes: Buffer) => ask('PUT', `/own/${path}`, bytes, ANN),
    flip: (bytes: Buffer) => flipBit(fileOf(digestOfBytes(bytes))),
    async verify(form: object = {}) {
      expect((await ask('POST', API, form)).status).toBe(202);
      await until(async () => (await ask('GET', API)).json.asked.state !== 'running');
      return (await ask('GET', API)).json.asked;
    },
  };
}

/** Fetches and uploads everything once. */
async function fill({ ask, put }: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (const [path, bytes] of [
    ['/up/small.txt', SMALL],
    ['/up/large.bin', LARGE],
  ] as const)
    expect((await ask('GET', path)).bytes.equals(bytes)).toBe(true);
  for (const [path, bytes] of [
    ['note.txt', NOTE],
    ['upload.bin', UPLOAD],
  ] as const)
    expect((await put(path, bytes)).status).toBe(201);
}

describe('a server whose disk changes bits', () => {
  it('finds them all, gets back what its upstream has, and lists who has uploaded the rest', async () => {
    const server = await open();
    const { ask, flip, put, upstream, verify } = server;
    await fill(server);
    for (const bytes of [SMALL, LARGE, NOTE, UPLOAD]) await flip(bytes);
    expect(await verify()).toMatchObject({
      state: 'done',
      looked: 4,
      damaged: 4,
      healed: 2,
      proxied: { count: 0 },
      hosted: {
        count: 2,
        entries: expect.arrayContaining([
          expect.objectContaining({ repository: 'own', storedBy: 'ann', size: NOTE.length, condition: 'damaged' }),
          expect.objectContaining({ repository: 'own', storedBy: 'ann', digest: digestOfBytes(UPLOAD) }),
        ]),
      },
    });
    await upstream.close();
    expect((await ask('GET', '/up/small.txt')).bytes.equals(SMALL)).toBe(true);
    expect((await ask('GET', '/up/large.bin')).bytes.equals(LARGE)).toBe(true);
    for (const path of ['/own/note.txt', '/own/upload.bin']) expect((await ask('GET', path)).status).toBe(500);
    const metrics = async () => (await ask('GET', '/metrics')).bytes.toString();
    expect(await metrics()).toContain('\nentrepot_lost_entries{repository="own"} 2\n');
    expect(await metrics()).toContain('\nentrepot_verified_blobs_total{condition="damaged"} 4\n');
    expect(await metrics()).toContain('\nentrepot_healed_blobs_total 2\n');
    for (const [path, bytes] of [
      ['note.txt', NOTE],
      ['upload.bin', UPLOAD],
    ] as const) {
      expect((await put(path, bytes)).status).toBeLessThan(300);
      expect((await ask('GET', `/own/${path}`)).bytes.equals(bytes)).toBe(true);
    }
    expect(await verify()).toMatchObject({ looked: 4, damaged: 0, missing: 0, hosted: { count: 0 } });
    expect(await metrics()).not.toContain('entrepot_lost_entries{');
  });

  it('gets back later what its upstream does not give now', async () => {
    const server = await open();
    const { ask, flip, upstream, verify } = server;
    await fill(server);
    for (const bytes of [SMALL, LARGE]) await flip(bytes);
    upstream.goOffline();
    expect(await verify()).toMatchObject({
      damaged: 2,
      healed: 0,
      proxied: { count: 2, entries: [{ reason: expect.stringMatching(/./) }, {}] },
    });
    expect((await ask('GET', '/up/small.txt')).status).toBeGreaterThanOrEqual(502);
    upstream.goOnline();
    // Whoever asks heals it, too.
    expect((await ask('GET', '/up/small.txt')).bytes.equals(SMALL)).toBe(true);
    await until(async () => (await verify()).proxied.count === 0);
    upstream.goOffline();
    expect((await ask('GET', '/up/large.bin')).bytes.equals(LARGE)).toBe(true);
  });

  it('serves nothing in place of what its upstream has replaced', async () => {
    const server = await open();
    const { ask, flip, upstream, verify } = server;
    await fill(server);
    await flip(SMALL);
    upstream.serve('/small.txt', { body: 'other bytes!' });
    expect(await verify()).toMatchObject({
      damaged: 1,
      healed: 0,
      proxied: { count: 1, entries: [{ key: 'small.txt', reason: 'the upstream has other bytes now' }] },
    });
    expect((await ask('GET', '/up/small.txt')).status).toBe(502);
  });
});

describe('the API', () => {
  it('refuses others, wrong forms, and a second run', async () => {
    const server = await open();
    const { ask, verify } = server;
    await fill(server);
    expect((await ask('GET', API, undefined, ANN)).status).toBe(401);
    expect((await ask('GET', API)).json).toEqual({});
    expect((await ask('DELETE', API)).status).toBe(404);
    for (const [form, message] of [
      [{ dry: true }, 'dry: unknown key; expected dryRun, heal, rate, batchSize'],
      [{ dryRun: 1 }, 'dryRun: expected true or false'],
      [{ heal: 'no' }, 'heal: expected true or false'],
      [{ rate: '0' }, 'rate: expected a size such as 50MiB, a second, or unlimited'],
      [{ rate: 'fast' }, 'rate: expected a size such as 50MiB, a second, or unlimited'],
      [{ batchSize: 0 }, 'batchSize: expected a whole number from 1 to 10000'],
    ] as const) {
      const reply = await ask('POST', API, form);
      expect([form, reply.status, reply.bytes.toString()]).toEqual([form, 400, expect.stringContaining(message)]);
    }
    expect((await ask('POST', API, { rate: 1 })).json).toMatchObject({ state: 'running', dryRun: false });
    expect((await ask('POST', API, {})).status).toBe(409);
    expect((await ask('GET', API)).json.asked).toMatchObject({ state: 'running' });
    expect((await ask('DELETE', API)).json).toMatchObject({ state: 'cancelled' });
    expect(await verify({ rate: 'unlimited' })).toMatchObject({ state: 'done', looked: 4 });
  });
});

describe('entrepot verify', () => {
  it('has a running server do it, and shows how far it is', async () => {
    const server = await open();
    const { flip, folder, env, url } = server;
    await fill(server);
    await flip(SMALL);
    await flip(NOTE);
    const run = async (...words: string[]) => {
      const process = new TestProcess(folder);
      process.env = env;
      process.isTerminal = true;
      return { code: await process.run('verify', '--server', url, ...words), process };
    };
    const dry = await run('--dry-run');
    expect(dry.code).toBe(1);
    expect(dry.process.output[0]).toBe('verified 4 blobs (1.3MiB): 2 damaged, 0 missing');
    expect(dry.process.output).toContain('lost in hosted repositories until they are uploaded again: 1');
    const unhealed = await run('--no-heal', '--json');
    expect(JSON.parse(unhealed.process.output.join(''))).toMatchObject({ healed: 0, proxied: { count: 1 } });
    const real = await run('--rate', '100MiB');
    expect(real.code).toBe(1);
    expect(real.process.output[1]).toBe('healed 1');
    expect(real.process.output.at(-1)).toMatch(
      /^lost {2}own\/note\.txt {2}pkg:generic\/.*sha256:[0-9a-f]{64} {2}14B {2}stored 2\S+Z by ann$/,
    );
    expect(real.process.progress.at(-1)).toBe('');
  });

  it('ends the run of the server with its own end', async () => {
    const server = await open();
    const { ask, folder, env, url } = server;
    await fill(server);
    const process = new TestProcess(folder);
    process.env = env;
    const running = process.run('verify', '--server', url, '--rate', '1B');
    await until(async () => (await ask('GET', API)).json.asked?.state === 'running');
    process.signals.emit('signal', 'SIGINT');
    expect(await running).toBe(1);
    expect(process.output.at(-1)).toBe('cancelled before the end');
    expect((await ask('GET', API)).json.asked).toMatchObject({ state: 'cancelled' });
  });

  it('does it by itself where no server answers', async () => {
    const server = await open();
    const { flip, folder, host } = server;
    await fill(server);
    await flip(SMALL);
    await host.close();
    const process = new TestProcess(folder);
    process.env = { ENTREPOT_SERVER_LISTEN: '127.0.0.1:1', ANN: 'of ann' };
    expect(await process.run('verify')).toBe(1);
    expect(process.errors[0]).toContain('no server answers');
    expect(process.output.slice(0, 3)).toEqual([
      'verified 4 blobs (1.3MiB): 1 damaged, 0 missing',
      'healed 0',
      'lost in proxies until an upstream has them: 1',
    ]);
    expect(await readdir(join(folder, 'data/blobs/damaged'))).toEqual([digestOfBytes(SMALL).slice(7)]);
    const there = new TestProcess(folder);
    expect(await there.run('verify', '--server', 'http://127.0.0.1:1')).toBe(1);
    expect(there.errors[0]).toMatch(/^entrepot: no server answers at http:\/\/127\.0\.0\.1:1/);
    const wrong = new TestProcess(folder);
    expect(await wrong.run('verify', '--rate', 'fast')).toBe(1);
    expect(wrong.errors[0]).toContain('--rate: expected a size such as 50MiB, found "fast"');
  });
});
