import { silentLogger, type LogFields } from '@entrepot/core';
import { describe, expect, it } from 'vitest';
import { accessLog } from '../../src/http/exchange.js';
import { reply, repository, serve } from './support.js';

async function logged(path: string, headers: Record<string, string> = {}, trusted: readonly string[] = []) {
  let resolve: (fields: LogFields) => void;
  const line = new Promise<LogFields>((done) => (resolve = done));
  const logger = { ...silentLogger, info: (fields: LogFields, message: string) => resolve({ ...fields, message }) };
  const failed = { name: 'failed', repository: 'files', resource: 'file', code: 'UPSTREAM_UNAVAILABLE' } as const;
  const named = { ...failed, name: 'upload', repository: 'named', caller: 'ci' } as const;
  const repositories = [
    repository('/files', () => ({ ...reply(Buffer.from('four')), outcome: failed })),
    repository('/named', () => ({ ...reply(Buffer.from('four')), outcome: named })),
  ];
  const server = await serve(repositories, {
    observers: [accessLog(logger)],
    trusted,
  });
  await (await fetch(server.url + path, { headers })).text();
  return line;
}

describe('the access log', () => {
  it('has one line with what became of a request, without its query', async () => {
    expect(await logged('/files/a%2fb?token=hunter2', { 'X-Request-Id': 'r1' })).toEqual({
      message: 'request',
      id: 'r1',
      client: '127.0.0.1',
      method: 'GET',
      path: '/files/a%2fb',
      status: 200,
      bytes: 4,
      duration: expect.any(Number),
      repository: 'files',
      outcome: 'failed',
      resource: 'file',
      code: 'UPSTREAM_UNAVAILABLE',
    });
  });

  it('says who it was, where they had to say', async () => {
    expect(await logged('/named/a')).toMatchObject({ path: '/named/a', user: 'ci' });
  });

  it('is quiet of probes as long as all is well', async () => {
    const lines: [string, unknown][] = [];
    const logger = {
      ...silentLogger,
      debug: ({ path }: LogFields) => void lines.push(['debug', path]),
      info: ({ path }: LogFields) => void lines.push(['info', path]),
    };
    const observe = accessLog(logger, ['/-/readyz', '/metrics']);
    const record = { id: 'x', method: 'GET', bytes: 1, duration: 1, client: '::1', outcome: undefined, aborted: false };
    observe({ ...record, path: '/-/readyz', status: 200, repository: undefined });
    observe({ ...record, path: '/-/readyz', status: 503, repository: undefined });
    observe({ ...record, path: '/metrics', status: 200, repository: undefined });
    observe({ ...record, path: '/metrics', status: 200, repository: 'files' });
    observe({ ...record, path: '/', status: 200, repository: undefined });
    expect(lines).toEqual([
      ['debug', '/-/readyz'],
      ['info', '/-/readyz'],
      ['debug', '/metrics'],
      ['info', '/metrics'],
      ['info', '/'],
    ]);
  });

  it('has a line for what is mounted nowhere', async () => {
    expect(await logged('/nowhere?token=hunter2')).toMatchObject({ path: '/nowhere', status: 404 });
  });

  it.each([
    [['127.0.0.1'], '203.0.113.9', '203.0.113.9'],
    // What stands before the last address that is not ours, the client may have made up.
    [['127.0.0.1', '10.0.0.0/8'], '198.51.100.1, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    [['127.0.0.1'], 'nonsense', '127.0.0.1'],
    [[], '203.0.113.9', '127.0.0.1'],
  ])('with %j trusted and "%s" forwarded names %s as the client', async (trusted, forwarded, client) => {
    expect(await logged('/files/a', { 'X-Forwarded-For': forwarded }, trusted)).toMatchObject({ client });
  });
});
