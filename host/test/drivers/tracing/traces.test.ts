import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@entrepot/core';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { createHost } from '../../../src/create-host.js';
import { listenOnLoopback } from '../../local-server.js';
import { startCollector, type ReadSpan } from './collector.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

/** A server that is traced, before an upstream. `end` stops it, which delivers the rest. */
async function traced(settings: Readonly<Record<string, unknown>>) {
  const collector = await startCollector();
  const asked: IncomingHttpHeaders[] = [];
  const upstream = await listenOnLoopback(
    createServer((request, response) => {
      asked.push(request.headers);
      const isThere = request.url?.startsWith('/there.txt') === true;
      response.writeHead(isThere ? 200 : 500, { 'content-type': 'text/plain' }).end(isThere ? 'bytes' : 'broken');
    }),
  );
  const folder = mkdtempSync(join(tmpdir(), 'entrepot-traces-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const configuration = {
    server: { listen: '127.0.0.1:0' },
    tracing: { endpoint: collector.url, ...settings },
    repositories: { box: { type: 'files', upstream } },
  };
  writeFileSync(join(folder, 'entrepot.yaml'), JSON.stringify(configuration));
  const host = await createHost(await loadConfig({ env: {}, cwd: folder }), { logger: silentLogger });
  onTestFinished(() => host.close());
  const [{ url } = { url: '' }] = await host.listen();
  return {
    collector,
    asked,
    async get(path: string, headers: Record<string, string> = {}): Promise<number> {
      const answer = await fetch(url + path, { headers });
      await answer.arrayBuffer();
      return answer.status;
    },
    async end(): Promise<readonly ReadSpan[]> {
      await host.close();
      return collector.spans;
    },
  };
}

it('traces a request with the fetch that it needs, as a part of the trace of its sender', async () => {
  const { collector, asked, get, end } = await traced({ serviceName: 'packages' });
  expect(await get('/box/there.txt?secret=1', { traceparent: `00-${TRACE}-${CALLER}-01` })).toBe(200);
  const spans = await end();

  const request = spans.find(({ kind }) => kind === 2);
  const fetched = spans.filter(({ kind }) => kind === 3);
  expect(request).toMatchObject({
    traceId: TRACE,
    parentSpanId: CALLER,
    name: 'GET box',
    attributes: {
      'http.request.method': 'GET',
      'url.path': '/box/there.txt',
      'http.response.status_code': 200,
      'http.response.body.size': 5,
      'client.address': '127.0.0.1',
      'entrepot.repository': 'box',
      'entrepot.outcome': 'miss',
    },
  });
  expect(fetched).toHaveLength(1);
  expect(fetched[0]).toMatchObject({
    traceId: TRACE,
    parentSpanId: request?.spanId,
    attributes: { 'http.request.method': 'GET', 'server.address': '127.0.0.1', 'http.response.status_code': 200 },
  });
  expect(fetched[0]?.attributes['url.full']).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/there\.txt$/);
  for (const { start, end: ended } of spans) expect(ended).toBeGreaterThanOrEqual(start);
  expect(collector.posts[0]?.service).toBe('packages');
  expect(asked.map(({ traceparent }) => traceparent)).toEqual([undefined]);
});

it('tells upstreams of the trace where the configuration says so', async () => {
  const { asked, get, end } = await traced({ passToUpstreams: true });
  await get('/box/there.txt', { traceparent: `00-${TRACE}-${CALLER}-01` });
  const fetched = (await end()).find(({ kind }) => kind === 3);
  expect(asked.map(({ traceparent }) => traceparent)).toEqual([`00-${TRACE}-${fetched?.spanId}-01`]);
});

it('says what went wrong', async () => {
  const { get, end } = await traced({});
  expect(await get('/box/broken.txt')).toBe(502);
  const spans = await end();
  const request = spans.find(({ kind }) => kind === 2);
  expect(request).not.toHaveProperty('parentSpanId');
  expect(request).toMatchObject({
    attributes: { 'http.response.status_code': 502, 'error.type': 'UPSTREAM_500' },
    status: { code: 2, message: expect.stringContaining('answered 500') },
  });
  expect(spans.find(({ kind }) => kind === 3)).toMatchObject({ status: { code: 2, message: '500' } });
});

it('traces hits as well, and nothing of what is not sampled', async () => {
  const { get, end } = await traced({ sample: 0 });
  for (const flags of ['00', '01']) await get('/box/there.txt', { traceparent: `00-${TRACE}-${CALLER}-${flags}` });
  await get('/box/there.txt');
  const spans = await end();
  expect(spans.map(({ kind, attributes }) => [kind, attributes['entrepot.outcome']])).toEqual([[2, 'hit']]);
});
