import { escapeHtml } from '@entrepot/core';
import type { Context } from 'koa';
import { text } from './operations/operation.js';

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6877; --line: #d9dfe6; --page: #f5f7f9; --card: #fff; --code: #eef2f6; --mark: #0b6e6e; --bad: #a4262c }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #2f3a45; --page: #12181e; --card: #1a222a; --code: #11171d; --mark: #5cc8c2; --bad: #ff8a80 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main, header, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 2.5rem }
h1 { margin: 0; font-size: 1.75rem; letter-spacing: -.01em; overflow-wrap: anywhere }
header p { color: var(--soft); margin: .25rem 0 1.5rem }
article { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem; margin: 0 0 1rem }
h2 { margin: 0 0 .6rem; font-size: 1.15rem; display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline }
h2 small { font-size: .75rem; font-weight: 500; color: var(--mark); border: 1px solid currentColor; border-radius: 1rem; padding: 0 .55rem }
h3 { margin: 1rem 0 .3rem; font-size: .85rem; color: var(--soft) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 }
dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top; border-top: 1px solid var(--line); overflow-wrap: anywhere }
pre { margin: 0; padding: .6rem .8rem; background: var(--code); border-radius: .4rem; overflow-x: auto; user-select: all }
code, pre { font: .875rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
a { color: var(--mark) }
.deny, .hold { color: var(--bad) }
.soft, dt, th, footer { color: var(--soft); font-weight: 400 }
.wide { overflow-x: auto }
footer { padding-bottom: 2rem; font-size: .875rem }
`;

/** An answer with a page for people. No script, nothing from elsewhere. @param body HTML */
export function page(ctx: Context, title: string, body: string) {
  ctx.set(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  );
  return text(
    200,
    'text/html; charset=utf-8',
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${body}
</body>
</html>
`,
  );
}
