import type Router from '@koa/router';
import { EntrepotError } from '@entrepot/core';
import type { Context } from 'koa';
import type { RepositoryTokens } from '../access/repository-tokens.js';
import { issueToken, type TokenRepository } from '../access/token-endpoint.js';
import { readBody } from './read-body.js';
import { sendJson } from './send-json.js';

/** The token endpoint for clients of container images, which the challenges of their repositories name. */
const TOKEN_PATH = '/-/token';

const MAX_FORM_BYTES = 64 * 1024;

/** `GET` with Basic credentials or none, and the `POST` form with a user name and a password (RFC 6749 §4.3). */
export function tokenRoute(router: Router, repositories: readonly TokenRepository[], tokens: RepositoryTokens): void {
  router.get(TOKEN_PATH, async (ctx) => {
    await answer(ctx, ctx.get('Authorization') || undefined, new URLSearchParams(ctx.querystring));
  });
  router.post(TOKEN_PATH, async (ctx) => {
    const form = new URLSearchParams((await readBody(ctx.req, MAX_FORM_BYTES)).toString());
    if (form.get('grant_type') !== 'password') {
      ctx.status = 400;
      sendJson(ctx, { error: 'unsupported_grant_type', error_description: 'expected the grant type password' });
      return;
    }
    const credentials = `${form.get('username') ?? ''}:${form.get('password') ?? ''}`;
    await answer(ctx, `Basic ${Buffer.from(credentials).toString('base64')}`, form);
  });

  async function answer(ctx: Context, authorization: string | undefined, parameters: URLSearchParams): Promise<void> {
    ctx.set('Cache-Control', 'no-store');
    try {
      const scopes = parameters.getAll('scope');
      const { token, expiresIn, issuedAt } = await issueToken(repositories, tokens, authorization, scopes);
      sendJson(ctx, { token, access_token: token, expires_in: expiresIn, issued_at: issuedAt });
    } catch (error) {
      if (!(error instanceof EntrepotError) || error.status !== 401) throw error;
      ctx.status = 401;
      ctx.set('WWW-Authenticate', 'Basic realm="Entrepot", charset="UTF-8"');
      sendJson(ctx, { errors: [{ code: 'UNAUTHORIZED', message: error.message }] });
    }
  }
}
