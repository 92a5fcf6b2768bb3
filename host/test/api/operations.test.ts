import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type KoaRouter from '@koa/router';
import { describe, expect, it, vi } from 'vitest';
import { apiFiles } from '../../src/api-files.js';
import { OPERATIONS } from '../../src/operations.js';
import { openWholeServer, pathOf } from './support.js';

const { default: Router } = createRequire(import.meta.url)('@koa/router') as { readonly default: typeof KoaRouter };
const ROOT = path.resolve(import.meta.dirname, '../../..');
const files = apiFiles(readFileSync(path.join(ROOT, 'docs/api.md'), 'utf8'));

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
}

it.each(Object.keys(files))('%s is up to date (else: npm run build && node scripts/generate-docs.mjs)', (file) => {
  expect(readFileSync(path.join(ROOT, file), 'utf8')).toBe(files[file]);
});

describe('the operations of a server', () => {
  it('are all of its routes, all are described, and none is described that is not there', async () => {
    const register = vi.spyOn(Router.prototype, 'register');
    const { ask } = await openWholeServer();
    const routes = register.mock.calls.flatMap(([place, methods]) =>
      methods.map((method) => `${method} ${String(place).replaceAll(/[:*](\w+)/g, '{$1}')}`),
    );
    const document = (await (await ask('GET', '/-/api/openapi.json', 'anonymous')).json()) as Document;
    const described = Object.entries(document.paths).flatMap(([place, methods]) =>
      Object.keys(methods).map((method) => `${method} ${place}`),
    );
    expect(document.openapi).toBe('3.1.0');
    expect([...new Set(described)].sort()).toEqual([...new Set(routes)].sort());
    expect(described.sort()).toEqual(OPERATIONS.map((one) => `${one.method} ${one.path}`).sort());
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map((one) => one.operationId),
    );
    expect(ids.sort()).toEqual([...new Set(OPERATIONS.map(({ id }) => id))].sort());
  });

  it('refuse other methods, and name those that there are', async () => {
    const { ask } = await openWholeServer();
    for (const one of OPERATIONS) {
      const own = new Set(OPERATIONS.filter(({ path: place }) => place === one.path).map(({ method }) => method));
      for (const method of ['get', 'put', 'post', 'patch', 'delete'] as const) {
        if (own.has(method)) continue;
        const reply = await ask(method.toUpperCase(), pathOf(one), 'administrator by token');
        const allowed = (reply.headers.get('allow') ?? '').toLowerCase().split(', ');
        expect([one.path, method, reply.status]).toEqual([one.path, method, 405]);
        expect([...own].filter((name) => !allowed.includes(name))).toEqual([]);
      }
    }
  });

  it('refuse what is sent twice, unknown, too large, or of another type', async () => {
    const { ask, url } = await openWholeServer();
    const detail = async (reply: Response) => [reply.status, ((await reply.json()) as { detail: string }).detail];
    const role = 'administrator by token';
    expect(await detail(await ask('GET', '/-/api/v1/scans?limit=1&limit=2', role))).toEqual([
      400,
      'limit: expected once',
    ]);
    expect(await detail(await ask('GET', '/-/api/v1/scans?limits=1', role))).toEqual([
      400,
      'limits: unknown parameter; expected limit',
    ]);
    for (const wrong of ['', '0', '-1', '1.5', 'many', '10001', '1e3', '0x10', ' 1'])
      expect(await detail(await ask('GET', `/-/api/v1/scans?limit=${wrong}`, role))).toEqual([
        400,
        expect.stringMatching(/^limit: /),
      ]);
    const large = { subject: 'npm/**', note: 'x'.repeat(256 * 1024) };
    expect((await ask('POST', '/-/api/v1/pins', role, large)).status).toBe(413);
    const send = (type: string, body: string) =>
      fetch(`${url}/-/api/v1/pins`, {
        method: 'POST',
        headers: { authorization: 'Bearer a-token-of-some-length', 'content-type': type },
        body,
      });
    expect(await detail(await send('text/plain', '{}'))).toEqual([
      415,
      'Content-Type: expected application/json, found "text/plain"',
    ]);
    expect(await detail(await send('application/json; charset=utf-8', '{'))).toEqual([
      400,
      expect.stringContaining('expected JSON'),
    ]);
    expect(await detail(await send('application/json', ''))).toEqual([
      400,
      'Body: expected application/json, found none',
    ]);
  });
});
