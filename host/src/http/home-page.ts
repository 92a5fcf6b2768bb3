import type { IncomingMessage } from 'node:http';
import type Router from '@koa/router';
import { escapeHtml as escape, printableUrl, setupText, type ClientSetup } from '@entrepot/core';
import type { BaseUrl } from './base-url.js';

/** A repository as people are shown it. */
export interface ShownRepository {
  readonly name: string;
  readonly type: string;
  readonly kind: 'proxy' | 'hosted';
  /** Begins with `/`. */
  readonly mount: string;
  readonly upstreams: readonly {
    readonly url: string;
    readonly scope?: string | undefined;
    /** Its source, for people. */
    readonly source: string;
  }[];
}

/** A repository as the start page shows it. */
export interface HomeRepository extends ShownRepository {
  /** The URL under which the reader of the page reaches it. */
  readonly baseUrl: BaseUrl;
  clientSetup(baseUrl: string): readonly ClientSetup[];
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6877; --line: #d9dfe6; --page: #f5f7f9; --card: #fff; --code: #eef2f6; --mark: #0b6e6e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #2f3a45; --page: #12181e; --card: #1a222a; --code: #11171d; --mark: #5cc8c2 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main, header, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 2.5rem }
h1 { margin: 0; font-size: 1.75rem; letter-spacing: -.01em }
header p, footer, dt, .none { color: var(--soft) }
header p { margin: .25rem 0 1.5rem }
article { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem; margin: 0 0 1rem }
h2 { margin: 0 0 .6rem; font-size: 1.15rem; display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline }
h2 small { font-size: .75rem; font-weight: 500; color: var(--mark); border: 1px solid currentColor; border-radius: 1rem; padding: 0 .55rem }
h3 { margin: 1rem 0 .3rem; font-size: .85rem; color: var(--soft) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 }
dd { margin: 0; overflow-wrap: anywhere }
pre { margin: 0; padding: .6rem .8rem; background: var(--code); border-radius: .4rem; overflow-x: auto; user-select: all }
code, pre { font: .875rem/1.5 ui-monospace, monospace }
a { color: var(--mark) }
footer { padding-bottom: 2rem; font-size: .875rem }
`;

/** `/`: what is served here and how to point a client at it. No script, nothing from elsewhere. */
export function homePage(router: Router, repositories: readonly HomeRepository[]): void {
  router.get('/', (ctx) => {
    ctx.body = renderHomePage(repositories, ctx.req);
    ctx.type = 'text/html; charset=utf-8';
    ctx.set('Cache-Control', 'no-cache');
    ctx.set(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    );
    ctx.set('X-Content-Type-Options', 'nosniff');
    ctx.set('Vary', 'Host');
  });
}

function renderHomePage(repositories: readonly HomeRepository[], request: IncomingMessage): string {
  const cards = repositories.map((repository) => renderRepository(repository, repository.baseUrl(request, undefined)));
  const body = cards.length > 0 ? cards.join('\n') : '<p class="none">No repository is configured.</p>';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Entrepot</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Entrepot</h1>
<p>Packages are landed here once, inspected, kept and sent on.</p>
</header>
<main>
${body}
</main>
<footer><a href="/-/readyz">readiness</a> · <a href="/-/livez">liveness</a></footer>
</body>
</html>
`;
}

function renderRepository(repository: HomeRepository, baseUrl: string): string {
  const { name, type, kind, mount, upstreams } = repository;
  const upstreamLines = upstreams.map(
    ({ url, scope, source }) =>
      `<dt>upstream</dt><dd>${scope === undefined ? '' : `<code>${escape(scope)}</code> `}` +
      `<code>${escape(printableUrl(url))}</code> <small>from ${escape(source)}</small></dd>`,
  );
  const setups = repository
    .clientSetup(baseUrl)
    .map(({ client, steps }) => `<h3>${escape(client)}</h3>\n<pre>${escape(setupText({ steps }))}</pre>`);
  return `<article>
<h2>${escape(name)} <small>${escape(type)}</small> <small>${escape(kind)}</small></h2>
<dl>
<dt>URL</dt><dd><code>${escape(baseUrl)}/</code></dd>
<dt>mount</dt><dd><code>${escape(mount)}</code></dd>
${upstreamLines.join('\n')}
</dl>
${setups.join('\n')}
</article>`;
}
