import type { IncomingMessage } from 'node:http';
import type Router from '@koa/router';
import { EntrepotError } from '@entrepot/core';
import type { Context } from 'koa';
import type { TokenEndpoint } from '../access/token-endpoint.js';
import { readBody } from './read-body.js';
import { sendJson } from './send-json.js';

/** The token endpoint for clients of container images, which the challenges of their repositories name. */
export const TOKEN_PATH = '/-/token';

const MAX_FORM_BYTES = 64 * 1024;

/** `GET` with Basic credentials or none, and the `POST` form with a user name and a password (RFC 6749 §4.3). */
export function tokenRoute(router: Router, endpoint: TokenEndpoint): void {
  router.get(TOKEN_PATH, async (ctx) => {
    await answer(ctx, endpoint, ctx.get('Authorization') || undefined, new URLSearchParams(ctx.querystring));
  });
  router.post(TOKEN_PATH, async (ctx) => {
    const form = await readForm(ctx.req);
    if (form.get('grant_type') !== 'password') {
      ctx.status = 400;
      sendJson(ctx, { error: 'unsupported_grant_type', error_description: 'expected the grant type password' });
      return;
    }
    const credentials = `${form.get('username') ?? ''}:${form.get('password') ?? ''}`;
    await answer(ctx, endpoint, `Basic ${Buffer.from(credentials).toString('base64')}`, form);
  });
}

async function answer(
  ctx: Context,
  endpoint: TokenEndpoint,
  authorization: string | undefined,
  parameters: URLSearchParams,
): Promise<void> {
  ctx.set('Cache-Control', 'no-store');
  try {
    const { token, expiresIn, issuedAt } = await endpoint.issue(authorization, parameters.getAll('scope'));
    sendJson(ctx, { token, access_token: token, expires_in: expiresIn, issued_at: issuedAt });
  } catch (error) {
    if (!(error instanceof EntrepotError) || error.status !== 401) throw error;
    ctx.status = 401;
    ctx.set('WWW-Authenticate', 'Basic realm="Entrepot", charset="UTF-8"');
    sendJson(ctx, { errors: [{ code: 'UNAUTHORIZED', message: error.message }] });
  }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  return new URLSearchParams((await readBody(request, MAX_FORM_BYTES)).toString());
}
