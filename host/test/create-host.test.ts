import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ConfigurationError } from '../src/config/configuration-error.js';
import { loadConfig } from '../src/config/load.js';
import { checkConfiguration, createHost, type Host } from '../src/create-host.js';
import { listenOnLoopback } from './local-server.js';

/** A folder with a configuration in it, for one test. */
function folderWith(configuration: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-host-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'entrepot.yaml'), configuration);
  return folder;
}

async function load(configuration: string, env: Readonly<Record<string, string>> = {}) {
  return loadConfig({ env: { ENTREPOT_SERVER_LISTEN: '127.0.0.1:0', ...env }, cwd: folderWith(configuration) });
}

async function start(
  configuration: string,
  env?: Readonly<Record<string, string>>,
): Promise<{ host: Host; urls: string[] }> {
  const host = await createHost(await load(configuration, env), { logger: silentLogger });
  onTestFinished(() => host.close());
  return { host, urls: (await host.listen()).map(({ url }) => url) };
}

/** An upstream that says which path it was asked for, and how often it was asked. */
async function upstream() {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('Content-Type', 'text/plain');
    response.end(`file ${request.url}`);
  });
  return { url: `${await listenOnLoopback(server)}/base`, asked };
}

async function get(url: string) {
  const answer = await fetch(url);
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

describe('createHost', () => {
  it('serves what the configuration says, and asks the upstream once', async () => {
    const { url, asked } = await upstream();
    const { host, urls } = await start(`repositories: { mirror: { type: files, upstream: "${url}" } }`);
    const [base] = urls;

    const first = await get(`${base}/mirror/a.txt`);
    const second = await get(`${base}/mirror/a.txt`);

    expect([first, second]).toMatchObject([
      { status: 200, text: 'file /base/a.txt' },
      { status: 200, text: 'file /base/a.txt' },
    ]);
    expect([first.headers.get('x-cache'), second.headers.get('x-cache')]).toEqual(['MISS', 'HIT']);
    expect(asked).toEqual(['/base/a.txt']);
    expect(host.repositories).toEqual([
      {
        name: 'mirror',
        type: 'files',
        kind: 'proxy',
        mount: '/mirror',
        listen: undefined,
        upstreams: [{ url, scope: undefined, source: 'the configuration' }],
      },
    ]);
  });

  it('is ready, counts, and shows what it serves', async () => {
    const { url } = await upstream();
    const { urls } = await start(`
metrics: { path: /numbers, token: s3cret }
repositories: { mirror: { type: files, upstream: "${url}" } }`);
    const [base] = urls;
    await get(`${base}/mirror/a.txt`);

    expect(await get(`${base}/-/readyz`)).toMatchObject({ status: 200 });
    expect(await get(`${base}/numbers`)).toMatchObject({ status: 401 });
    const numbers = await fetch(`${base}/numbers`, { headers: { authorization: 'Bearer s3cret' } });
    expect(await numbers.text()).toMatch(
      /entrepot_requests_total\{repository="mirror",resource="\w+",outcome="miss",status="200"\} 1/,
    );
    const page = await get(`${base}/`);
    expect(page.text).toContain(`${base}/mirror/`);
    expect(page.text).toContain('from the configuration');
  });

  it('gives a repository a listener of its own, where it may be mounted at /', async () => {
    const { url } = await upstream();
    const { host, urls } = await start(`
server: { publicUrl: "https://packages.example.com" }
repositories:
  mirror: { type: files, upstream: "${url}" }
  apart: { type: files, upstream: "${url}", listen: "127.0.0.1:0", mount: / }`);
    const [main, apart] = urls as [string, string];

    expect(await get(`${apart}/a.txt`)).toMatchObject({ status: 200, text: 'file /base/a.txt' });
    expect(await get(`${apart}/-/livez`)).toMatchObject({ text: 'file /base/-/livez' });
    expect(await get(`${main}/apart/a.txt`)).toMatchObject({ status: 404 });
    const page = await get(main);
    expect(page.text).toContain('<code>https://packages.example.com/mirror/</code>');
    expect(page.text).toContain(`<code>${apart}/</code>`);
    expect(host.repositories.map(({ listen }) => listen)).toEqual([undefined, '127.0.0.1:0']);
  });

  it('keeps what it has after a restart, with the upstream gone', async () => {
    const { url, asked } = await upstream();
    const loaded = await load(`repositories: { mirror: { type: files, upstream: "${url}" } }`);
    const bodies: string[] = [];
    for (let run = 0; run < 2; run += 1) {
      const host = await createHost(loaded, { logger: silentLogger });
      const [listener] = await host.listen();
      bodies.push((await get(`${listener?.url}/mirror/a.txt`)).text);
      await host.close();
    }

    expect(bodies).toEqual(['file /base/a.txt', 'file /base/a.txt']);
    expect(asked).toHaveLength(1);
  });

  it('closes once, and can then be started again on the same address', async () => {
    const loaded = await load('repositories: {}');
    const host = await createHost(loaded, { logger: silentLogger });
    const [listener] = await host.listen();

    await Promise.all([host.close(), host.close()]);

    await expect(fetch(`${listener?.url}/-/livez`)).rejects.toThrow();
  });

  it('is red before it closes, and goes on serving until balancers know', async () => {
    const { url } = await upstream();
    const repositories = `repositories: { mirror: { type: files, upstream: "${url}" } }`;
    const loaded = await load(`${repositories}\nserver: { drainDelay: 5s }`);
    const asked: number[] = [];
    const meanwhile: { status: number; connection: string | null }[] = [];
    const host = await createHost(loaded, {
      logger: silentLogger,
      wait: async (delay) => {
        asked.push(delay);
        for (const path of ['/-/readyz', '/-/livez', '/mirror/a.txt', '/mirror/a.txt']) {
          const { status, headers } = await fetch(base + path);
          meanwhile.push({ status, connection: headers.get('connection') });
        }
      },
    });
    const [{ url: base }] = (await host.listen()) as [{ url: string }];
    expect((await fetch(`${base}/-/readyz`)).status).toBe(200);

    await host.close();

    expect(asked).toEqual([5_000]);
    // Whoever keeps connections looks for another server with the next request.
    expect(meanwhile).toEqual([503, 200, 200, 200].map((status) => ({ status, connection: 'close' })));
    await expect(fetch(`${base}/-/livez`)).rejects.toThrow();
  });

  it('is ready while it can read what is kept and write nothing', async () => {
    const { url } = await upstream();
    const configuration = `repositories: { mirror: { type: files, upstream: "${url}" } }`;
    const loaded = await load(configuration);
    const first = await createHost(loaded, { logger: silentLogger });
    const [one] = await first.listen();
    expect((await get(`${one?.url}/mirror/a.txt`)).status).toBe(200);
    await first.close();

    const host = await createHost(loaded, { logger: silentLogger });
    onTestFinished(() => host.close());
    const [two] = await host.listen();
    const { storage } = loaded.config;
    if (storage.backend !== 'filesystem') throw new Error('the default is a folder');
    const temporary = join(storage.path, 'tmp');
    rmSync(temporary, { recursive: true });
    writeFileSync(temporary, '');

    const ready = await get(`${two?.url}/-/readyz`);
    const kept = await get(`${two?.url}/mirror/a.txt`);
    expect([ready.status, JSON.parse(ready.text)]).toMatchObject([
      200,
      { status: 'degraded', checks: { blobs: 'degraded' } },
    ]);
    expect([kept.status, kept.text, kept.headers.get('x-cache')]).toEqual([200, 'file /base/a.txt', 'HIT']);
  });

  it('listens nowhere when one address cannot be had', async () => {
    const { url } = await upstream();
    const taken = new URL(url).port;
    const host = await createHost(
      await load(`repositories: { apart: { type: files, upstream: "${url}", listen: "127.0.0.1:${taken}" } }`),
      { logger: silentLogger },
    );
    onTestFinished(() => host.close());

    await expect(host.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('refuses to start, with everything that is wrong', async () => {
    const loaded = await load(`
plugins: [ "@acme/entrepot-plugin-x", ./missing.mjs ]
repositories:
  a: { type: nothing }
  b: { type: files }
  c: { type: files, upstream: "https://files.example.com", overwrite: true }
  d: { type: files, upstream: "https://files.example.com", cache: { nothing: {} } }`);

    const error = await createHost(loaded, { logger: silentLogger }).then(
      () => undefined,
      (reason: unknown) => reason as ConfigurationError,
    );

    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error?.problems.map(({ path }) => path).sort()).toEqual([
      'plugins.0',
      // Of `a` nothing is said: its type may be that of one of them.
      'plugins.1',
      'repositories.b.upstream',
      'repositories.c.overwrite',
      'repositories.d.cache.nothing',
    ]);
  });

  it('serves without a repository when it knows no upstream', async () => {
    const { host, urls } = await start('repositories: {}');

    expect(host.repositories).toEqual([]);
    expect((await get(urls[0] as string)).text).toContain('No repository is configured.');
  });
});

describe('checkConfiguration', () => {
  it('says what would be served and what is wrong, and opens nothing', async () => {
    const loaded = await load(`
storage: { path: /dev/null/blobs }
repositories: { a: { type: nothing }, b: { type: files, upstream: "https://files.example.com" } }`);

    const { repositories, problems } = await checkConfiguration(loaded, { logger: silentLogger });

    expect(repositories.map(({ name }) => name)).toEqual(['b']);
    expect(problems.map(({ path }) => path)).toEqual(['repositories.a.type']);
  });
});

describe('a database that was lost', () => {
  it('is told of at the start, while blobs are there', async () => {
    const { url } = await upstream();
    const loaded = await load(`repositories: { mirror: { type: files, upstream: "${url}" } }`);
    const { metadata } = loaded.config;
    const path = 'path' in metadata ? metadata.path : '';
    const said: string[] = [];
    const logger = { ...silentLogger, error: (_fields: object, message: string) => void said.push(message) };
    for (const isLost of [false, false, true]) {
      if (isLost) for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
      const host = await createHost(loaded, { logger });
      const [listener] = await host.listen();
      expect(said).toEqual(isLost ? [expect.stringContaining('the database has no entries')] : []);
      // Cached content of proxies is fetched again.
      expect(await get(`${listener?.url}/mirror/a.txt`)).toMatchObject({ status: 200, text: 'file /base/a.txt' });
      await host.close();
    }
  });
});
