import { describe, expect, it } from 'vitest';
import { problemsOf, serve, statusOf } from './reloading.js';
import { freePort } from './free-port.js';

const textOf = async (url: string): Promise<string> => (await fetch(url)).text();

describe('metrics', () => {
  const at = (metrics: string, more = '') =>
    `server: { listen: "127.0.0.1:0" }\nmetrics: { ${metrics} }\nrepositories: { one: { type: files, kind: hosted${more} } }`;

  it('are served on a listener of their own, and there alone, until another configuration says otherwise', async () => {
    const [apart, other] = [await freePort(), await freePort()];
    const { url, reload } = await serve(at(`listen: "127.0.0.1:${apart}"`));
    const own = `http://127.0.0.1:${apart}`;
    expect(await textOf(`${own}/metrics`)).toContain('entrepot_requests_total');
    expect(await statusOf(`${url}/metrics`)).toBe(404);
    for (const path of ['/', '/-/readyz', '/one/', '/-/api/v1/policy']) expect(await statusOf(own + path)).toBe(404);

    await reload(at(`listen: "127.0.0.1:${other}", token: s3cret`));
    expect(await statusOf(`http://127.0.0.1:${other}/metrics`)).toBe(401);
    await expect(fetch(`${own}/metrics`)).rejects.toThrow();

    await reload(at('enabled: false'));
    expect(await statusOf(`${url}/metrics`)).toBe(404);
    await expect(fetch(`http://127.0.0.1:${other}/metrics`)).rejects.toThrow();

    await reload(at('path: /numbers'));
    expect(await statusOf(`${url}/numbers`)).toBe(200);
  });

  it('share the listener of a repository', async () => {
    const port = await freePort();
    const listen = `listen: "127.0.0.1:${port}"`;
    const { url } = await serve(at(listen, `, ${listen}`));
    expect(await statusOf(`http://127.0.0.1:${port}/metrics`)).toBe(200);
    expect(await statusOf(`http://127.0.0.1:${port}/one/`)).toBe(200);
    expect(await statusOf(`${url}/metrics`)).toBe(404);
  });
});

describe('the start page', () => {
  const at = (home: string, more = '') =>
    `server: { listen: "127.0.0.1:0", home: ${home} }\nrepositories: { one: { type: files, kind: hosted${more} } }`;

  it('has the title and the text of the configuration, as text', async () => {
    const { url, reload } = await serve(at('{ title: "Packages of <Acme>", text: "One.\\n\\nTwo & three." }'));
    const page = await textOf(url);
    expect(page).toContain('<title>Packages of &lt;Acme&gt;</title>');
    expect(page).toContain('<p>One.</p>\n<p>Two &amp; three.</p>');
    expect(page).toContain('/one/');
    await reload(at('{}', ', description: "Tools of <ours>"'));
    const other = await textOf(url);
    expect(other).toContain('<title>Entrepot</title>');
    expect(other).toContain('<p>Tools of &lt;ours&gt;</p>');
  });

  it('is a file, whose place for repositories is filled in', async () => {
    const files = { 'home.html': '<h1>Welcome</h1>{{repositories}}<p>Bye</p>' };
    const { url, host, load } = await serve(at('{ file: home.html }'), undefined, files);
    const answer = await fetch(url);
    expect(await answer.text()).toMatch(
      /<body>\n<h1>Welcome<\/h1><article>[^]*\/one\/[^]*<\/article><p>Bye<\/p>\n<\/body>/,
    );
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await problemsOf(host.prepare(await load(at('{ file: none.html }'))))).toMatchObject([
      { path: 'server.home.file', message: expect.stringContaining('expected a file') as string },
    ]);
    await expect(load(at('{ file: home.html, title: Packages }'))).rejects.toThrow(
      'expected either file, or title and text',
    );
    expect(await textOf(url)).toContain('Welcome');
  });
});

describe('the configuration in force', () => {
  it('is shown to administrators, defaults filled in, without its secrets', async () => {
    const configuration = (freshFor: string) => `
server: { listen: "127.0.0.1:0" }
metrics: { token: hunter2-metrics }
repositories:
  mirror:
    type: files
    upstream: http://127.0.0.1:1/base
    transport: { proxy: "http://user:hunter2@127.0.0.1:2" }
    cache: { document: { freshFor: ${freshFor}, expireAfter: never } }
    auth: { token: hunter2 }
    trustedRealms: [auth.example.com]
    mediaTypes: { .hunter2: application/zip }
    access: { anonymous: read, users: { ci: { passwordHash: "$2b$10$ad.7yTvuGM47be6iP/iB9.IsnR3Arf4lGhlMYMu87SsgnU3Gs9vvi" } } }`;
    const { url, reload } = await serve(configuration('1m'));
    const shown = async () =>
      (await (await fetch(`${url}/-/api/v1/configuration`)).json()) as {
        configuration: Record<string, never>;
        sources: string[];
      };
    const { configuration: found, sources } = await shown();
    expect(sources[0]).toMatch(/entrepot\.yaml$/);
    expect(found).toMatchObject({
      server: { drainTimeout: 30_000, listen: { host: '127.0.0.1', port: 0 } },
      metrics: { token: '(hidden)', enabled: true },
      repositories: {
        mirror: {
          auth: { token: '(hidden)' },
          transport: { proxy: 'http://(hidden)@127.0.0.1:2/' },
          cache: { document: { freshFor: 60_000, expireAfter: 'unlimited' } },
          access: { users: { ci: { passwordHash: '(hidden)', may: 'read' } } },
        },
      },
    });
    expect(JSON.stringify(found)).not.toMatch(/:"[^"]*hunter2|\$2b/);
    await reload(configuration('2m'));
    expect((await shown()).configuration).toMatchObject({
      repositories: { mirror: { cache: { document: { freshFor: 120_000 } } } },
    });
  });
});
