import type Router from '@koa/router';
import { silentLogger } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { baseUrlOf } from '../../src/http/base-url.js';
import { healthRoutes, type ReadinessCheck } from '../../src/http/health-routes.js';
import { readHome } from '../../src/http/home-content.js';
import { homePage, type HomeRepository } from '../../src/http/home-page.js';
import { metricsGuard, metricsRoute } from '../../src/http/metrics-route.js';
import { trustedProxies } from '../../src/http/trusted-proxies.js';
import { operationsOf, serve } from './support.js';

describe('health', () => {
  function start(checks: readonly ReadinessCheck[]) {
    const state = { now: 0, draining: false };
    const routes = (router: Router) =>
      healthRoutes(operationsOf(router), {
        checks,
        isDraining: () => state.draining,
        clock: { now: () => state.now, monotonic: () => state.now },
        logger: silentLogger,
      });
    return { state, server: serve([], { routes }) };
  }

  async function ready(url: string) {
    const answer = await fetch(`${url}/-/readyz`);
    return [answer.status, await answer.json()];
  }

  it('is alive whatever storage says', async () => {
    const { server } = start([{ name: 'blobs', check: () => Promise.reject(new Error('full')) }]);

    const answer = await fetch(`${(await server).url}/-/livez`);

    expect([answer.status, await answer.json()]).toEqual([200, { status: 'ok' }]);
  });

  it('is ready when every check passes, and says which one does not', async () => {
    const works = { blobs: true };
    const { server, state } = start([
      { name: 'blobs', check: () => (works.blobs ? Promise.resolve() : Promise.reject(new Error('full'))) },
      { name: 'entries', check: () => Promise.resolve() },
    ]);
    const { url } = await server;

    expect(await ready(url)).toEqual([200, { status: 'ok', checks: { blobs: 'ok', entries: 'ok' } }]);
    works.blobs = false;
    state.now = 10_000;
    expect(await ready(url)).toEqual([503, { status: 'failed', checks: { blobs: 'failed', entries: 'ok' } }]);
  });

  it('is ready, but not well, while what is kept can be read and nothing can be written', async () => {
    const full = () => Promise.reject(new Error('full'));
    const writing = start([
      { name: 'blobs', check: full, checkReading: () => Promise.resolve() },
      { name: 'entries', check: () => Promise.resolve(), checkReading: full },
    ]);
    const checks = { blobs: 'degraded', entries: 'ok' };
    expect(await ready((await writing.server).url)).toEqual([200, { status: 'degraded', checks }]);
    const reading = start([{ name: 'blobs', check: full, checkReading: full }]);
    expect(await ready((await reading.server).url)).toEqual([503, { status: 'failed', checks: { blobs: 'failed' } }]);
  });

  it('is not ready while something starts, and failed only when something has', async () => {
    const starting: ReadinessCheck = { name: 'scanners', check: async () => 'starting' };
    const { url } = await start([starting, { name: 'blobs', check: () => Promise.resolve() }]).server;
    expect(await ready(url)).toEqual([503, { status: 'starting', checks: { scanners: 'starting', blobs: 'ok' } }]);
    const broken = start([starting, { name: 'blobs', check: () => Promise.reject(new Error('full')) }]);
    expect((await ready((await broken.server).url))[1]).toMatchObject({ status: 'failed' });
  });

  it('asks storage once for many probes', async () => {
    let asked = 0;
    const check = () => {
      asked += 1;
      return Promise.resolve();
    };
    const { server, state } = start([{ name: 'blobs', check }]);
    const { url } = await server;

    await Promise.all([ready(url), ready(url), ready(url)]);
    expect(asked).toBe(1);
    state.now = 2_000;
    await ready(url);
    expect(asked).toBe(2);
  });

  it('is not ready while draining', async () => {
    const { server, state } = start([]);
    state.draining = true;

    expect(await ready((await server).url)).toEqual([503, { status: 'draining', checks: {} }]);
  });
});

describe('metrics', () => {
  const source = { contentType: 'text/plain; version=0.0.4', render: () => Promise.resolve('up 1\n') };

  it('are for everybody when there is no token', async () => {
    const { url } = await serve([], {
      routes: (router) => metricsRoute(operationsOf(router), { path: '/metrics', source }),
    });

    const answer = await fetch(`${url}/metrics`);

    expect([answer.status, await answer.text()]).toEqual([200, 'up 1\n']);
    expect(answer.headers.get('content-type')).toContain('version=0.0.4');
  });

  it.each([
    ['Bearer s3cret', 200],
    ['bearer  s3cret', 200],
    ['Bearer s3cre', 401],
    ['Bearer s3crets', 401],
    ['Basic s3cret', 401],
    ['', 401],
  ])('with a token: %j is answered with %d', async (authorization, status) => {
    const { url } = await serve([], {
      routes: (router) => metricsRoute(operationsOf(router, metricsGuard('s3cret')), { path: '/m', source }),
    });

    const answer = await fetch(`${url}/m`, { headers: { authorization } });

    expect(answer.status).toBe(status);
    expect(answer.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer realm="metrics"' : null);
  });
});

describe('the start page', () => {
  const repository: HomeRepository = {
    name: 'npm',
    type: 'npm',
    kind: 'proxy',
    mount: '/npm',
    upstreams: [
      { url: 'https://user:hunter2@registry.example.com/?token=hunter2', source: "npm's configuration (registry)" },
      { url: 'https://acme.example.com', scope: '@acme', source: 'the configuration' },
    ],
    baseUrl: baseUrlOf(undefined, '/npm', trustedProxies([])),
    clientSetup: (baseUrl) => [
      {
        client: 'npm',
        steps: [{ kind: 'command', text: `npm config set registry "${baseUrl}/" && echo <done>` }],
      },
    ],
  };

  async function page(repositories: readonly HomeRepository[]) {
    const server = await serve([], {
      routes: (router) => homePage(operationsOf(router), repositories, readHome({})),
    });
    const answer = await fetch(server.url);
    return { server, answer, html: await answer.text() };
  }

  it('shows each repository, where its upstream comes from, and what to copy', async () => {
    const { server, answer, html } = await page([repository]);

    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(html).toContain(
      '<code>https://registry.example.com/</code> <small>from npm&#39;s configuration (registry)</small>',
    );
    expect(html).toContain(
      '<code>@acme</code> <code>https://acme.example.com/</code> <small>from the configuration</small>',
    );
    expect(html).toContain(`npm config set registry &quot;${server.url}/npm/&quot; &amp;&amp; echo &lt;done&gt;`);
  });

  it('holds no secret, no script, and nothing from elsewhere', async () => {
    const { answer, html } = await page([repository]);

    expect(html).not.toContain('hunter2');
    expect(html).not.toMatch(/<script|src=|@import|url\(/);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  it('escapes whatever a plugin or the configuration says', async () => {
    const evil = '<img onerror="x">';
    const { html } = await page([
      {
        ...repository,
        name: evil,
        type: evil,
        mount: evil,
        upstreams: [],
        clientSetup: () => [{ client: evil, steps: [{ kind: 'command', text: evil }] }],
      },
    ]);

    expect(html).not.toContain('<img');
    expect(html.split('&lt;img onerror=&quot;x&quot;&gt;')).toHaveLength(6);
  });

  it('says so when there is none', async () => {
    const { html } = await page([]);

    expect(html).toContain('No repository is configured.');
  });
});

describe('other paths', () => {
  it('of the server answer 405 to what they do not know, and 404 elsewhere', async () => {
    const { url } = await serve([], {
      routes: (router) => router.get('/-/livez', (ctx) => void (ctx.body = 'alive')),
    });
    const answers = [
      await fetch(`${url}/-/livez`, { method: 'POST' }),
      await fetch(`${url}/-/livez`, { method: 'HEAD' }),
      await fetch(`${url}/-/other`),
    ];

    expect(answers.map(({ status }) => status)).toEqual([405, 200, 404]);
    expect(answers[0]?.headers.get('allow')).toBe('HEAD, GET');
  });
});
