import { EntrepotError } from '@entrepot/core';
import type { Context } from 'koa';
import { z } from 'zod';
import type { RepositoryTokens } from '../access/repository-tokens.js';
import { issueToken, type TokenRepository } from '../access/token-endpoint.js';
import { readBody } from './read-body.js';
import { json, operation } from './operations/operation.js';
import type { Operations } from './operations/operations.js';
import { plainText } from './operations/schemas.js';

const MAX_FORM_BYTES = 64 * 1024;

const common = {
  tag: 'access',
  description: 'The token endpoint of registries of container images, which their challenges name.',
  path: '/-/token',
  access: 'everybody',
  asSent: true,
} as const;
const issued = {
  description: 'The token.',
  json: z.object({ token: z.string(), access_token: z.string(), expires_in: z.number(), issued_at: z.string() }),
};
const refused = {
  description: 'Wrong credentials.',
  json: z.object({ errors: z.array(z.object({ code: z.string(), message: z.string() })) }),
};

/** The operations of the token endpoint. */
export const TOKENS = {
  get: operation({
    ...common,
    id: 'getToken',
    summary: 'Makes a short-lived token for container images, with Basic credentials or none.',
    method: 'get',
    query: z.strictObject({ scope: plainText(4_096).optional().describe('May be repeated.') }),
    replies: { 200: issued, 401: refused },
  }),
  post: operation({
    ...common,
    id: 'postToken',
    summary: 'Makes a short-lived token for container images (RFC 6749 §4.3).',
    method: 'post',
    body: {
      types: ['application/x-www-form-urlencoded'],
      schema: z.object({
        grant_type: z.literal('password'),
        username: z.string().optional(),
        password: z.string().optional(),
        scope: z.string().optional(),
      }),
    },
    replies: {
      200: issued,
      400: {
        description: 'Another grant type.',
        json: z.object({ error: z.string(), error_description: z.string() }),
      },
      401: refused,
    },
  }),
};

/** `GET` with Basic credentials or none, and the `POST` form with a user name and a password (RFC 6749 §4.3). */
export function tokenRoute(
  operations: Operations,
  repositories: readonly TokenRepository[],
  tokens: RepositoryTokens,
): void {
  operations.add(TOKENS.get, ({ ctx }) =>
    answer(ctx, ctx.get('Authorization') || undefined, new URLSearchParams(ctx.querystring)),
  );
  operations.add(TOKENS.post, async ({ ctx }) => {
    const form = new URLSearchParams((await readBody(ctx.req, MAX_FORM_BYTES)).toString());
    if (form.get('grant_type') !== 'password')
      return json(400, { error: 'unsupported_grant_type', error_description: 'expected the grant type password' });
    const credentials = `${form.get('username') ?? ''}:${form.get('password') ?? ''}`;
    return await answer(ctx, `Basic ${Buffer.from(credentials).toString('base64')}`, form);
  });

  async function answer(ctx: Context, authorization: string | undefined, parameters: URLSearchParams) {
    ctx.set('Cache-Control', 'no-store');
    try {
      const scopes = parameters.getAll('scope');
      const { token, expiresIn, issuedAt } = await issueToken(repositories, tokens, authorization, scopes);
      return json(200, { token, access_token: token, expires_in: expiresIn, issued_at: issuedAt });
    } catch (error) {
      if (!(error instanceof EntrepotError) || (error as EntrepotError).status !== 401) throw error;
      ctx.set('WWW-Authenticate', 'Basic realm="Entrepot", charset="UTF-8"');
      return json(401, { errors: [{ code: 'UNAUTHORIZED', message: (error as EntrepotError).message }] });
    }
  }
}
