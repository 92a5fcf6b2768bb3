import { describe, expect, it, onTestFinished } from 'vitest';
import {
  artifactClass,
  changeClass,
  defineProtocolPlugin,
  EntrepotError,
  type Access,
  type AccessNeed,
  type RequestHead,
  type Resource,
} from '../../src/index.js';
import { openTestRepository, type TestRequest } from '../../src/testing/index.js';
import { z } from 'zod';

const accessName = ({ key }: Resource): string | undefined => key.split('/')[0];
const images = defineProtocolPlugin({
  id: 'images',
  options: z.strictObject({}),
  inject: {},
  hosted: {
    classes: {
      file: artifactClass({ about: 'A file.', reply: { cacheControl: 'public, max-age=60' }, policy: { accessName } }),
      put: changeClass({
        about: 'An upload.',
        action: 'put',
        policy: { accessName },
        bounds: { of: 'file', overwrite: true, maxBytes: 100 },
      }),
    },
    create: () => ({
      route({ segments: [name, file], method }: RequestHead) {
        if (file === undefined) return { status: 200, headers: {}, body: 'pong' };
        return { class: method === 'GET' ? 'file' : 'put', key: `${name}/${file}` };
      },
    }),
    challenge: ({ right, name }, { baseUrl }) =>
      `Bearer realm="${new URL(baseUrl).origin}/token",scope="${name}:${right}"`,
  },
});

/** `reader` may read `a`; `token` is one of `reader` that was made for nothing; `busy` cannot be told now. */
function guarded(more: Partial<Access> = {}): Access {
  const reads = ({ right, name }: AccessNeed): boolean => right === 'read' && name === 'a';
  return {
    knowsCallers: true,
    isOpen: () => false,
    authenticate: async (authorization) => {
      switch (authorization) {
        case undefined:
          return { may: () => false };
        case 'admin':
          return { name: 'admin', may: () => true };
        case 'reader':
          return { name: 'reader', may: reads };
        case 'token':
          return { name: 'reader', may: () => false, mayWithNewToken: reads };
        case 'busy':
          throw new EntrepotError('unauthorized', 'Later', { status: 429, retryAfter: 5 });
        default:
          throw new EntrepotError('unauthorized', 'Wrong password');
      }
    },
    challenge: () => 'Basic realm="x"',
    ...more,
  };
}

async function open(access: Access) {
  const repository = await openTestRepository({ plugin: images, definition: { kind: 'hosted', access } });
  onTestFinished(() => repository.close());
  const ask = (request: TestRequest, authorization?: string) =>
    repository.ask({ ...request, headers: authorization === undefined ? {} : { authorization } });
  return { ask };
}

it('finds the caller by credentials of a form of the ecosystem', async () => {
  const credentials = ({ header }: RequestHead) => (header('x-key') === 'k' ? 'admin' : undefined);
  const keyed = { ...images, http: { credentials } };
  const repository = await openTestRepository({ plugin: keyed, definition: { kind: 'hosted', access: guarded() } });
  onTestFinished(() => repository.close());
  const put = async (headers: Record<string, string>) => (await repository.ask({ ...WRITE, headers })).status;
  expect(await put({ 'x-key': 'k' })).toBe(201);
  expect(await put({ 'x-key': 'wrong' })).toBe(401);
  expect(await put({ authorization: 'admin' })).toBe(200);
});

const WRITE: TestRequest = { method: 'PUT', path: '/a/f', body: 'x' };
const READ: TestRequest = { path: '/a/f' };
const CHALLENGE = (scope: string, more = ''): string =>
  `Bearer realm="https://packages.example.com/token",scope="${scope}"${more}`;

describe('authorize', () => {
  it.each<
    [who: string | undefined, request: TestRequest, status: number, challenge: string | undefined, message: RegExp]
  >([
    [undefined, READ, 401, CHALLENGE('a:read'), /Nobody may read from a in repository test without saying/],
    [undefined, WRITE, 401, CHALLENGE('a:write'), /Nobody may write to a in repository test without saying/],
    ['wrong', READ, 401, CHALLENGE('a:read'), /Wrong password/],
    ['reader', READ, 200, undefined, /x/],
    ['reader', { path: '/b/f' }, 403, undefined, /reader may not read from b in repository test/],
    ['reader', WRITE, 403, undefined, /reader may not write to a in repository test/],
    ['token', READ, 401, CHALLENGE('a:read', ',error="insufficient_scope"'), /was not made to read from a/],
    ['token', WRITE, 403, undefined, /reader may not write/],
    ['busy', READ, 429, undefined, /Later/],
    [undefined, { path: '/ping' }, 200, undefined, /pong/],
    ['wrong', { path: '/ping' }, 200, undefined, /pong/],
  ])('%s, %j: %i', async (who, request, status, challenge, message) => {
    const { ask } = await open(guarded());
    await ask(WRITE, 'admin');

    const reply = await ask(request, who);

    expect([reply.status, reply.headers['www-authenticate']]).toEqual([status, challenge]);
    expect(String(reply.body)).toMatch(message);
  });

  it('says that nobody may where saying who one is would not help', async () => {
    const { ask } = await open(guarded({ knowsCallers: false }));

    const reply = await ask(WRITE);

    expect([reply.status, reply.headers['www-authenticate']]).toEqual([403, undefined]);
  });

  it('keeps what only some may have out of shared caches', async () => {
    const closed = await open(guarded());
    const free = await open(guarded({ isOpen: () => true }));
    await closed.ask(WRITE, 'admin');
    await free.ask(WRITE);

    expect((await closed.ask(READ, 'reader')).headers['cache-control']).toBe('private, max-age=60');
    expect((await free.ask(READ)).headers['cache-control']).toBe('public, max-age=60');
  });
});

describe('a change whose names stand in its body', () => {
  const listed = changeClass({
    about: 'An upload of a list of names.',
    action: 'put',
    policy: { forAnyName: true },
    bounds: { of: 'file', maxBytes: 100 },
    async make(_resource, content) {
      const names = Buffer.from(await content.bytes(100))
        .toString()
        .split(' ')
        .filter(Boolean);
      const file = { bytes: Buffer.from('x'), mediaType: 'text/plain' };
      return {
        create: names.map((name) => ({ ...file, key: `${name}/1`, coordinates: { ecosystem: 'images', name } })),
      };
    },
  });
  const { hosted } = images;
  const plugin = {
    ...images,
    names: { pattern: () => () => false },
    hosted: { ...hosted, classes: { ...hosted?.classes, put: listed } },
  } as typeof images;
  const writes = ({ right, name, anyName }: AccessNeed): boolean =>
    right === 'write' && (anyName === true || name === 'a');
  const access = guarded({ authenticate: async () => ({ name: 'writer', may: writes }) });

  it.each([
    ['a', 201],
    ['b', 403],
    ['a b', 403],
    ['', 500],
  ])('with the names "%s" is %i', async (body, status) => {
    const repository = await openTestRepository({ plugin, definition: { kind: 'hosted', access } });
    onTestFinished(() => repository.close());
    expect((await repository.ask({ method: 'PUT', path: '/list/all', body })).status).toBe(status);
    const kept = await Promise.all(['a/1', 'b/1'].map((key) => repository.entries.find('test', key)));
    expect(kept.map((entry) => entry?.key)).toEqual([status === 201 ? 'a/1' : undefined, undefined]);
  });
});
