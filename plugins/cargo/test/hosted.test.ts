import type { Access, AccessNeed } from '@entrepot/core';
import { openTestRepository, type TestReply, type TestRepository } from '@entrepot/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { credentials } from '../src/errors.js';
import { crate, manifestOf, publication, publish, put, sha256 } from './fixtures.js';

let repository: TestRepository;

beforeEach(async () => {
  repository = await openTestRepository({ plugin, definition: { kind: 'hosted' } });
});

afterEach(() => repository.close());

const ask: TestRepository['ask'] = (request) => repository.ask(request);
const read = async (reply: Promise<TestReply>): Promise<unknown> => JSON.parse((await reply).body.toString());

async function index(path: string): Promise<Record<string, unknown>[]> {
  const { status, body } = await ask(path);
  return status === 200
    ? body
        .toString()
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text) as Record<string, unknown>)
    : [];
}

async function detail(request: Parameters<TestRepository['ask']>[0]): Promise<[number, string]> {
  const reply = await ask(request);
  const { errors } = JSON.parse(reply.body.toString()) as { errors: { detail: string }[] };
  return [reply.status, errors[0]?.detail ?? ''];
}

describe('a publication', () => {
  it('is answered as cargo wants it, and listed as the specification has it', async () => {
    const archive = crate('my-crate', '1.0.0');
    const deps = [
      {
        name: 'rand',
        version_req: '^0.6',
        features: ['a'],
        optional: true,
        default_features: false,
        target: 'cfg(unix)',
        kind: 'dev',
        registry: null,
        explicit_name_in_toml: null,
      },
      { name: 'serde', version_req: '1', explicit_name_in_toml: 'serde_one', registry: 'https://registry.example.com' },
    ];
    const features = { default: ['std'], std: [], extra: ['dep:rand', 'serde_one?/derive'] };
    const more = {
      deps,
      features,
      links: 'git2',
      rust_version: '1.70',
      description: 'A crate',
      readme: 'x',
      authors: [],
    };
    expect(await read(ask(publish('my-crate', '1.0.0', archive, more)))).toEqual({
      warnings: { invalid_categories: [], invalid_badges: [], other: [] },
    });
    expect(await index('/my/-c/my-crate')).toEqual([
      {
        name: 'my-crate',
        vers: '1.0.0',
        deps: [
          {
            name: 'rand',
            req: '^0.6',
            features: ['a'],
            optional: true,
            default_features: false,
            target: 'cfg(unix)',
            kind: 'dev',
            registry: null,
          },
          {
            name: 'serde_one',
            package: 'serde',
            req: '1',
            features: [],
            optional: false,
            default_features: true,
            target: null,
            kind: 'normal',
            registry: 'https://registry.example.com',
          },
        ],
        cksum: sha256(archive),
        features: { default: ['std'], std: [] },
        features2: { extra: ['dep:rand', 'serde_one?/derive'] },
        v: 2,
        yanked: false,
        links: 'git2',
        rust_version: '1.70',
        pubtime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as unknown,
      },
    ]);
  });

  const good = crate('demo', '1.0.0');
  const meta = { name: 'demo', vers: '1.0.0', deps: [], features: {} };

  it.each([
    ['a length of metadata beyond the body', publication(meta, good, { json: 1_000_000 })],
    ['a length of metadata of 4 GB', publication(meta, good, { json: 0xffffffff })],
    ['a length of metadata that is too short', publication(meta, good, { json: 10 })],
    ['a length of the crate beyond the body', publication(meta, good, { crate: good.length + 1 })],
    ['a length of the crate that is too short', publication(meta, good, { crate: good.length - 1 })],
    ['no crate', publication(meta, Buffer.alloc(0))],
    ['nothing', Buffer.alloc(0)],
    ['three bytes', Buffer.alloc(3)],
    ['metadata that is no JSON', publication('{', good)],
    ['metadata that is a list', publication([], good)],
    ['a name that is none', publication({ ...meta, name: '../demo' }, good)],
    ['a version that is none', publication({ ...meta, vers: '1.0' }, good)],
    ['dependencies that are none', publication({ ...meta, deps: [{ name: 'a' }] }, good)],
    ['a crate that is no archive', publication(meta, Buffer.from('text'))],
    ['a crate that breaks off', publication(meta, good.subarray(0, -20))],
    ['a crate of another folder', publication({ ...meta, vers: '1.0.1' }, good)],
    ['a manifest of another crate', publication(meta, crate('demo', '1.0.0', '', manifestOf('other', '1.0.0')))],
    ['a manifest of another version', publication(meta, crate('demo', '1.0.0', '', manifestOf('demo', '1.0.1')))],
    ['a manifest that is no TOML', publication(meta, crate('demo', '1.0.0', '', '[package'))],
    ['a manifest without a package', publication(meta, crate('demo', '1.0.0', '', 'a = 1'))],
  ])('is refused with %s', async (_what, body) => {
    const [status, message] = await detail(put(body));
    expect(status).toBe(400);
    expect(message).not.toBe('');
    expect(await repository.entries.list('test', { prefix: '', limit: 10 })).toEqual([]);
  });

  it('is refused for a version that is there, with other build metadata too, and for a name that is nearly the same', async () => {
    expect((await ask(publish('my-crate', '1.0.0'))).status).toBe(200);
    for (const request of [
      publish('my-crate', '1.0.0', crate('my-crate', '1.0.0', '// other')),
      publish('my-crate', '1.0.0+b'),
      publish('my_crate', '1.1.0'),
      publish('My-Crate', '1.1.0'),
    ]) {
      expect((await detail(request))[0]).toBe(409);
    }
    expect(await index('/my/-c/my-crate')).toHaveLength(1);
    expect(await index('/my/_c/my_crate')).toHaveLength(0);
  });

  it('loses none of twenty at once, of one crate and of many', async () => {
    const versions = Array.from({ length: 20 }, (_, at) => `1.${at}.0`);
    const replies = await Promise.all([
      ...versions.map((version) => ask(publish('demo', version))),
      ...versions.map((_, at) => ask(publish(`demo-${at}`, '1.0.0'))),
    ]);
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    expect((await index('/de/mo/demo')).map(({ vers }) => vers).sort()).toEqual([...versions].sort());
    expect(await read(ask('/api/v1/crates?q=demo&per_page=100'))).toMatchObject({ meta: { total: 21 } });
  });

  it('lets one of two spellings of a name win', async () => {
    const replies = await Promise.all([ask(publish('a-b', '1.0.0')), ask(publish('a_b', '1.1.0'))]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 409]);
  });
});

describe('a version', () => {
  it('is yanked and comes back, and can be downloaded all the while', async () => {
    await ask(publish('demo', '1.0.0+b'));
    const path = '/api/v1/crates/demo/1.0.0+b';
    for (const [method, action, expected] of [
      ['DELETE', 'yank', true],
      ['DELETE', 'yank', true],
      ['PUT', 'unyank', false],
    ] as const) {
      expect(await read(ask({ method, path: `${path}/${action}` }))).toEqual({ ok: true });
      expect((await index('/de/mo/demo'))[0]?.['yanked']).toBe(expected);
      expect((await ask(`${path}/download`)).status).toBe(200);
    }
    for (const other of ['/api/v1/crates/demo/1.0.0/yank', '/api/v1/crates/none/1.0.0/yank']) {
      expect((await detail({ method: 'DELETE', path: other }))[0]).toBe(404);
    }
    expect((await detail({ method: 'PUT', path: `${path}/yank` }))[0]).toBe(405);
  });

  it('is found by a search, the latest release first', async () => {
    for (const version of ['1.0.0', '1.10.0', '1.9.0', '2.0.0-rc.1']) {
      await ask(publish('demo', version, undefined, { description: 'Shows Things' }));
    }
    await ask(publish('other', '1.0.0'));
    expect(await read(ask('/api/v1/crates?q=things&per_page=10'))).toEqual({
      crates: [{ name: 'demo', max_version: '1.10.0', description: 'Shows Things' }],
      meta: { total: 1 },
    });
    await ask({ method: 'DELETE', path: '/api/v1/crates/demo/1.10.0/yank' });
    expect(await read(ask('/api/v1/crates?q=DEMO'))).toMatchObject({ crates: [{ max_version: '1.9.0' }] });
    expect(await read(ask('/api/v1/crates?q=&page=2&per_page=1'))).toMatchObject({ crates: [{ name: 'other' }] });
  });
});

describe('an owner', () => {
  it('is nobody that clients could add', async () => {
    await ask(publish('demo', '1.0.0'));
    expect(await read(ask('/api/v1/crates/demo/owners'))).toEqual({ users: [] });
    expect((await detail({ method: 'PUT', path: '/api/v1/crates/demo/owners', body: '{"users":["a"]}' }))[0]).toBe(403);
    expect((await ask('/api/v1/crates/none/owners')).status).toBe(404);
  });
});

describe('a token', () => {
  it.each([
    ['ann:secret', `Basic ${Buffer.from('ann:secret').toString('base64')}`],
    ['aaa.bbb.ccc', 'Bearer aaa.bbb.ccc'],
    ['Basic YTpi', undefined],
    ['Bearer a.b.c', undefined],
    ['', undefined],
  ])('%j stands for %j', (token, expected) => {
    expect(credentials({ header: (name) => (name === 'authorization' ? token : undefined) })).toBe(expected);
  });
});

describe('a user for some names', () => {
  const mayChange = ({ right, name = '', anyName }: AccessNeed): boolean =>
    right === 'read' || anyName === true || name.startsWith('team-');
  const access: Access = {
    knowsCallers: true,
    isOpen: () => false,
    authenticate: async () => ({ name: 'team', may: mayChange }),
    challenge: () => 'Cargo',
  };

  it('publishes and yanks those alone, whatever the URL says', async () => {
    await repository.close();
    repository = await openTestRepository({ plugin, definition: { kind: 'hosted', access } });
    const versionPath = (name: string): string => `/api/v1/crates/${name}/1.0.0`;
    for (const [name, status] of [
      ['team-a', 200],
      ['other', 403],
      ['Team_b', 403],
    ] as const) {
      expect((await ask(publish(name, '1.0.0'))).status).toBe(status);
      expect((await ask({ method: 'DELETE', path: `${versionPath(name)}/yank` })).status).toBe(status);
      expect((await ask({ method: 'PUT', path: `${versionPath(name)}/unyank` })).status).toBe(status);
    }
    const kept = await repository.entries.list('test', { prefix: '', limit: 10 });
    expect(
      kept.filter(({ coordinates }) => coordinates !== undefined).map(({ coordinates }) => coordinates?.name),
    ).toEqual(['team-a']);
  });
});
