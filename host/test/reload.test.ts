import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as requestHttp, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { silentLogger, type Logger } from '@entrepot/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from './free-port.js';
import { LISTEN, NOTHING, problemsOf, serve, statusOf, upstream } from './reloading.js';

describe('another configuration', () => {
  it('is served from the next request on, on connections that stay open, and the metrics go on', async () => {
    const { host, url, reload } = await serve(`${LISTEN}repositories: { one: { type: files, kind: hosted } }`);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const ports = new Set<number | undefined>();
    const status = async (path: string): Promise<number | undefined> => {
      const sent = requestHttp(url + path, { agent }).end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      ports.add(sent.socket?.localPort);
      await buffer(response);
      return response.statusCode;
    };
    await statusOf(`${url}/one/a`, { method: 'PUT', body: 'a' });
    expect([await status('/one/a'), await status('/two/a')]).toEqual([200, 404]);
    await reload(`${LISTEN}repositories: { two: { type: files, kind: hosted, quota: 1MiB } }`);
    expect([await status('/one/a'), await status('/two/a')]).toEqual([404, 404]);
    expect(await statusOf(`${url}/two/a`, { method: 'PUT', body: 'a' })).toBe(201);
    expect(await statusOf(`${url}/two/b`, { method: 'PUT', body: 'x'.repeat(2 ** 20) })).toBe(507);
    await reload(`${LISTEN}repositories: { one: { type: files, kind: hosted } }`);
    expect([await status('/one/a'), await status('/two/a')]).toEqual([200, 404]);
    expect(ports.size).toBe(1);
    expect(host.repositories.map(({ name }) => name)).toEqual(['one']);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^entrepot_requests_total\{repository="one",.*outcome="hit",status="200"\} 2$/m);
    expect(metrics).toMatch(/^entrepot_requests_total\{repository="two",.*status="201"\} 1$/m);
    expect(metrics.match(/^process_start_time_seconds /gm)).toHaveLength(1);
    expect(metrics.match(/^entrepot_policy_since_seconds (\d{10})/gm)).toHaveLength(1);
  });

  it('is refused with everything that is wrong; the one before goes on', async () => {
    const { url, load, host } = await serve(`${LISTEN}repositories: { one: { type: files, kind: hosted } }`);
    const wrong = await load(`${LISTEN}repositories: { one: { type: npm, colour: 5 }, two: { type: filse } }`);
    expect(await problemsOf(host.prepare(wrong))).toMatchObject([
      { path: 'repositories.one.colour' },
      { path: 'repositories.two.type' },
    ]);
    expect(await statusOf(`${url}/one/a`, { method: 'PUT', body: 'a' })).toBe(201);
  });

  it('is refused, by key, where it changes what only a start applies', async () => {
    const { host, load } = await serve(`${LISTEN}repositories: { one: { type: files, kind: hosted } }`);
    const other = await load(`
server: { listen: "127.0.0.1:0", workers: 3, maxHeaderBytes: 32KiB, drainTimeout: 1s }
storage: { maxBytes: 1GiB }
metadata: { path: other.sqlite }
cache: { maxEntries: 5000 }
plugins: []`);
    const refused = (await problemsOf(host.prepare(other))) as { path: string; message: string }[];
    expect(refused.map(({ path }) => path).toSorted()).toEqual([
      'cache.maxEntries',
      'metadata.path',
      'server.maxHeaderBytes',
      'server.workers',
      'storage.maxBytes',
    ]);
    for (const { message } of refused) expect(message).toContain('restart');
  });

  it('may be given up before it is served', async () => {
    const port = await freePort();
    const { host, url, load, reload } = await serve(NOTHING);
    const text = `${LISTEN}repositories: { one: { type: files, kind: hosted, listen: "127.0.0.1:${port}", mount: / } }`;
    const next = await host.prepare(await load(text));
    await next.abandon();
    await expect(fetch(`http://127.0.0.1:${port}/a`)).rejects.toThrow();
    expect(await statusOf(`${url}/-/readyz`)).toBe(200);
    await reload(text);
    expect(await statusOf(`http://127.0.0.1:${port}/a`)).toBe(404);
  });

  it('is closed with the server when it was not served yet', async () => {
    const { host, load } = await serve(NOTHING);
    const text = `${LISTEN}repositories: { one: { type: files, kind: hosted } }`;
    const early = await host.prepare(await load(text));
    const late = problemsOf(host.prepare(await load(text)));
    await host.close();
    early.apply();
    expect(await late).toMatchObject({ message: 'the server stops' });
    expect(host.repositories).toEqual([]);
  });
});

/** A scanner that has no database before `globalThis.scannerGate` lets it have one. */
const SCANNER = `
export default {
  kind: 'scanner', apiVersion: 1, id: 'own', inject: {},
  options: { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } },
  create: () => {
    const { promise, events } = globalThis.scannerGate;
    let isThere = false;
    events.push('create');
    return {
      subjects: { ecosystems: ['npm'] }, needs: 'coordinates', revision: () => '1', lookup: () => [],
      check: async () => { if (!isThere) throw new Error('there is no database yet'); },
      update: async () => { await promise; isThere = true; events.push('update'); },
      dispose: async () => void events.push('dispose'),
      scan: async () => { throw new Error('it is looked up'); },
    };
  },
};`;

describe('scanners of another configuration', () => {
  it('have their databases before it is served, and those of the one before end', async () => {
    const gate = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const events: string[] = [];
    Object.assign(globalThis, { scannerGate: { promise: gate.promise, events } });
    const logger: Logger = {
      ...silentLogger,
      debug: (_fields, message) => message.startsWith('all requests of a configuration') && ended.resolve(),
    };
    const scanned = (more: string) => `${NOTHING}\nscanners: [{ type: ./own.mjs }]\npolicy: { preset: observe${more} }`;
    const { host, url, load } = await serve(NOTHING, logger, { 'own.mjs': SCANNER });
    const preparing = host.prepare(await load(scanned('')));
    while (events.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await statusOf(`${url}/-/readyz`)).toBe(200);
    expect(events).toEqual(['create']);
    gate.resolve();
    (await preparing).apply();
    expect(events).toEqual(['create', 'update']);
    expect(await statusOf(`${url}/-/readyz`)).toBe(200);
    await ended.promise;
    (await host.prepare(await load(scanned(', keepDecisions: 1d')))).apply();
    while (!events.includes('dispose')) await new Promise((resolve) => setImmediate(resolve));
    expect(events.filter((event) => event === 'create')).toHaveLength(2);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics.match(/^# TYPE entrepot_scan_queue /gm)).toHaveLength(1);
  });
});

describe('what runs when the configuration changes', () => {
  it('ends as it began: a download, and the fetch behind it', async () => {
    const rest = Promise.withResolvers<void>();
    const half = Buffer.alloc(3_000_000, 'x');
    let asked = 0;
    const url = await upstream((_request, response) => {
      asked += 1;
      response.writeHead(200, { 'content-length': 2 * half.length });
      response.write(half);
      void rest.promise.then(() => response.end(half));
    });
    const ended = Promise.withResolvers<void>();
    const logger: Logger = {
      ...silentLogger,
      debug: (_fields, message) => message.startsWith('all requests of a configuration') && ended.resolve(),
    };
    const one = `one: { type: files, upstream: "${url}", rules: [{ match: "**", policy: immutable }] }`;
    const { url: base, reload } = await serve(`${LISTEN}repositories: { ${one} }`, logger);
    const answer = await fetch(`${base}/one/large`);
    await reload(`${LISTEN}repositories: { two: { type: files, kind: hosted } }`);
    expect(await statusOf(`${base}/one/large`)).toBe(404);
    rest.resolve();
    expect((await answer.arrayBuffer()).byteLength).toBe(2 * half.length);
    await ended.promise;
    await reload(`${LISTEN}repositories: { ${one} }`);
    expect(await statusOf(`${base}/one/large`)).toBe(200);
    expect(asked).toBe(1);
  });

  it('keeps its session: an upload in several requests', async () => {
    const hosted = (more: string) => `${LISTEN}repositories: { images: { type: oci, kind: hosted${more} } }`;
    const { url, reload } = await serve(hosted(''));
    const begun = await fetch(`${url}/v2/images/app/blobs/uploads/`, { method: 'POST' });
    const append = async (place: string, body: string): Promise<string> => {
      const answer = await fetch(new URL(place, url), { method: 'PATCH', body });
      expect(answer.status).toBe(202);
      return answer.headers.get('location') ?? '';
    };
    let place = await append(begun.headers.get('location') ?? '', 'one ');
    await reload(hosted(', quota: 1GiB'));
    place = await append(place, 'two ');
    await reload(hosted(''));
    place = await append(place, 'three');
    const last = new URL(place, url);
    last.searchParams.set('digest', `sha256:${createHash('sha256').update('one two three').digest('hex')}`);
    expect(await statusOf(last.href, { method: 'PUT' })).toBe(201);
  });

  it('is forgotten where it was found under another upstream', async () => {
    const empty = await upstream((_request, response) => response.writeHead(404).end());
    const full = await upstream((_request, response) => response.end('there'));
    const at = (url: string) => `${LISTEN}repositories: { one: { type: files, upstream: "${url}" } }`;
    const { url, reload } = await serve(at(empty));
    expect(await statusOf(`${url}/one/a`)).toBe(404);
    await reload(at(full));
    expect(await statusOf(`${url}/one/a`)).toBe(200);
  });

  it('leaves no memory behind', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const url = await upstream((_request, response) => response.end('there'));
    const { url: base, reload } = await serve(NOTHING);
    const round = async (number: number): Promise<void> => {
      await reload(
        `${LISTEN}repositories: { r${number % 2}: { type: npm, upstream: "${url}" }, f: { type: files, upstream: "${url}" } }`,
      );
      await statusOf(`${base}/f/a${number % 3}`);
    };
    const heap = async (): Promise<number> => {
      for (let turn = 0; turn < 5; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        collect();
      }
      return process.memoryUsage().heapUsed;
    };
    for (let number = 0; number < 5; number += 1) await round(number);
    const before = await heap();
    for (let number = 0; number < 20; number += 1) await round(number);
    expect((await heap()) - before).toBeLessThan(3_000_000);
  });
});
