import { describe, expect, it } from 'vitest';
import { reply, repository, serve, type Handler } from './support.js';

/** Answers with what it was asked. */
const echo: Handler = (request) => {
  const { method, rawPath, rawQuery, baseUrl } = request;
  return reply(Buffer.from(JSON.stringify({ method, rawPath, rawQuery, baseUrl, accept: request.header('accept') })));
};

async function startEchoes() {
  const named = (name: string) => (request: Parameters<Handler>[0]) =>
    reply(Buffer.from(`${name} ${request.rawPath}${request.rawQuery === '' ? '' : `?${request.rawQuery}`}`));
  return serve([
    repository('/npm', named('npm')),
    repository('/npm/inner', named('inner')),
    repository('/files', named('files')),
  ]);
}

function head(target: string, method = 'GET'): string {
  return `${method} ${target} HTTP/1.1\r\nHost: proxy.example.com\r\nConnection: close\r\n\r\n`;
}

describe('repositoryRoutes', () => {
  it.each([
    ['/npm/react', 'npm /react'],
    ['/npm', 'npm /'],
    ['/npm/', 'npm /'],
    ['/npm?x=1', 'npm /?x=1'],
    ['/npm/inner/a', 'inner /a'],
    ['/npm/inner', 'inner /'],
    ['/npm/innermost', 'npm /innermost'],
    ['/files/a?b=c?d', 'files /a?b=c?d'],
    // Nothing is decoded, collapsed or resolved on the way.
    ['/npm/@scope%2fname', 'npm /@scope%2fname'],
    ['/npm/a/%2e%2e/b', 'npm /a/%2e%2e/b'],
    ['/npm/../../etc/passwd', 'npm /../../etc/passwd'],
    ['/npm//a', 'npm //a'],
    ['/npm/%00', 'npm /%00'],
    ['/npm/a%', 'npm /a%'],
    ['/npm/a\\..\\b', 'npm /a\\..\\b'],
    // Absolute form (RFC 9112 §3.2.2).
    ['http://proxy.example.com/npm/react?x', 'npm /react?x'],
    ['HTTP://proxy.example.com:8080/npm/a//b', 'npm /a//b'],
  ])('%s goes to %s', async (target, expected) => {
    const server = await startEchoes();

    const answer = await server.raw(head(target));

    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer.split('\r\n\r\n')[1]).toBe(expected);
  });

  it.each([
    '/',
    '/nothing',
    '/npmx',
    '/%6epm/react',
    '/NPM/react',
    '//npm/react',
    '/./npm/react',
    'http://proxy.example.com',
  ])('%s is mounted nowhere', async (target) => {
    const server = await startEchoes();

    expect(await server.raw(head(target))).toMatch(/^HTTP\/1\.1 404 /);
  });

  it('answers 414 for a path that is too long, wherever it leads', async () => {
    const server = await startEchoes();

    expect(await server.raw(head(`/npm/${'a'.repeat(10_000)}`))).toMatch(
      /^HTTP\/1\.1 414 [^]*at most 8192 characters, found 10005/,
    );
    expect(await server.raw(head(`/${'a'.repeat(10_000)}`))).toMatch(/^HTTP\/1\.1 414 /);
  });

  it.each(['OPTIONS', 'TRACE', 'PROPFIND'])('answers 405 for %s', async (method) => {
    const server = await startEchoes();

    expect(await server.raw(head('/npm/react', method))).toMatch(
      /^HTTP\/1\.1 405 [^]*Allow: GET, HEAD, PUT, POST, PATCH, DELETE\r\n/,
    );
  });

  it.each(['GET', 'PUT', 'POST', 'PATCH', 'DELETE'])('hands %s to the repository', async (method) => {
    const server = await serve([repository('/npm', echo)]);

    const answer = await fetch(`${server.url}/npm/a?b`, { method, headers: { accept: 'text/plain' } });

    expect(await answer.json()).toEqual({
      method,
      rawPath: '/a',
      rawQuery: 'b',
      baseUrl: `${server.url}/npm`,
      accept: 'text/plain',
    });
  });

  it('answers 400 for a target that is no path', async () => {
    const server = await startEchoes();

    expect(await server.raw(head('*', 'OPTIONS'))).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('keeps the own paths of the server from a repository at /, but not its root', async () => {
    const server = await serve([repository('', () => reply(Buffer.from('repository')))], {
      routes: (router) => {
        router.get('/', (ctx) => void (ctx.body = 'home'));
        router.get('/-/livez', (ctx) => void (ctx.body = 'alive'));
      },
    });
    const texts = ['/', '/-/livez', '/-/other', '/-%2flivez'].map(async (path) =>
      (await fetch(server.url + path)).text(),
    );

    expect(await Promise.all(texts)).toEqual(['repository', 'alive', 'repository', 'repository']);
  });
});
