import { escapeHtml as escape, printableUrl, setupText, type ClientSetup } from '@entrepot/core';
import type { BaseUrl } from './base-url.js';
import type { HomeContent } from './home-content.js';
import { operation } from './operations/operation.js';
import type { Operations } from './operations/operations.js';
import { page } from './page.js';

/** The operation of the start page. */
export const HOME = operation({
  id: 'getHome',
  tag: 'server',
  summary: 'Shows people what is served here, and how to point a client at it.',
  method: 'get',
  path: '/',
  access: 'everybody',
  query: 'ignored',
  replies: { 200: { description: 'A page.', texts: ['text/html'] } },
});

/** A repository as people are shown it. */
export interface ShownRepository {
  readonly name: string;
  readonly type: string;
  readonly kind: 'proxy' | 'hosted';
  /** A sentence for people. */
  readonly description?: string | undefined;
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

/** `/`: what is served here and how to point a client at it. */
export function homePage(operations: Operations, repositories: readonly HomeRepository[], home: HomeContent): void {
  operations.add(HOME, ({ ctx }) => {
    ctx.set('Cache-Control', 'no-cache');
    ctx.set('Vary', 'Host');
    const cards = repositories.map((one) => renderRepository(one, one.baseUrl(ctx.req, undefined)));
    const list = cards.length > 0 ? cards.join('\n') : '<p class="soft">No repository is configured.</p>';
    return page(ctx, home.title, home.body(list));
  });
}

function renderRepository(repository: HomeRepository, baseUrl: string): string {
  const { name, type, kind, description, mount, upstreams } = repository;
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
${description === undefined ? '' : `<p>${escape(description)}</p>\n`}<dl>
<dt>URL</dt><dd><code>${escape(baseUrl)}/</code></dd>
<dt>mount</dt><dd><code>${escape(mount)}</code></dd>
${upstreamLines.join('\n')}
</dl>
${setups.join('\n')}
</article>`;
}
