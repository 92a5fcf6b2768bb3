import type { Context } from 'koa';

/** Answers with `value`. Koa would ask of an object whether it is a `Response`, and Node loads its own fetch to know one: 15 MiB. */
export function sendJson(ctx: Context, value: object): void {
  ctx.type = 'json';
  ctx.body = JSON.stringify(value);
}
