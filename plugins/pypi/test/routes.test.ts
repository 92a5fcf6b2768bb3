import { describe, expect, it } from 'vitest';
import { EntrepotError, type LocalReply, type RequestHead, type Route } from '@entrepot/core';
import { type BoundResource as Bound, type DocumentResource } from '@entrepot/core/engine';
import { createProtocol } from '@entrepot/core/testing';
import plugin from '../src/index.js';
import { chooseForm } from '../src/negotiation.js';
import { pypiOptions } from '../src/options.js';
import { PypiProxy } from '../src/routes.js';
import { request } from './fixtures.js';

const PUBLIC = { url: 'https://index.example.com' };
const PRIVATE = { url: 'https://acme.example.com/pypi/simple', scope: 'acme' };

type Upstreams = readonly { url: string; scope?: string }[];

function router(upstreams: Upstreams = [PUBLIC], given: unknown = {}): (head: RequestHead) => Route | undefined {
  const pypi = new PypiProxy({ name: 'pypi', kind: 'proxy', upstreams }, pypiOptions.parse(given));
  return (head) => pypi.route(head);
}

/** The resource as the engine sees it, with the facts of its class. */
async function bound(head: RequestHead): Promise<Bound | undefined> {
  const repository = { name: 'pypi', kind: 'proxy' as const, upstreams: [PUBLIC] };
  return (await createProtocol({ plugin }, repository)).route(head);
}

const route = router();

describe('redirects', () => {
  it.each([
    ['/simple', 'simple/'],
    ['/simple/demo', 'demo/'],
    ['/simple/Demo', 'demo/'],
    ['/simple/Demo/', '../demo/'],
    ['/simple/Foo.Bar_baz/', '../foo-bar-baz/'],
    ['/simple/foo--bar/?a=1&b', '../foo-bar/?a=1&b'],
    ['/simple/demo?x', 'demo/?x'],
    ['/pypi/Demo_X/json', '../demo-x/json'],
    ['/pypi/Demo_X/1.0/json', '../../demo-x/1.0/json'],
  ])('%s leads to %s, relative to the request', (path, location) => {
    const found = route(request(path)) as LocalReply;
    expect(found).toMatchObject({ status: 301, headers: { Location: location } });
  });

  it('end in the page: no redirect leads to another one', () => {
    for (const name of ['Foo.Bar_baz', 'foo--bar', 'A_b', 'a.-_b', 'X']) {
      const first = route(request(`/simple/${name}`)) as LocalReply;
      const target = new URL(first.headers?.['Location'] ?? '', `https://x.example.com/simple/${name}`).pathname;
      expect(route(request(target))).toMatchObject({ class: 'simple' });
    }
  });
});

describe('what is not served', () => {
  it.each([
    '/',
    '/simple/acme%20sdk/',
    '/simple/-demo/',
    '/simple/demo./',
    '/simple/d%C3%A9mo/',
    '/simple/a%2Fb/',
    '/simple/%252e%252e/',
    `/simple/${'a'.repeat(215)}/`,
    '/simple/demo/extra/',
    '/files/demo/0123456789abcdef/demo-1.0.tar.gz/',
    '/files/Demo/0123456789abcdef/demo-1.0.tar.gz',
    '/files/demo/0123456789ABCDEF/demo-1.0.tar.gz',
    '/files/demo/0123456789abcdef/demo-1.0.txt',
    '/files/demo/0123456789abcdef/other-1.0.tar.gz',
    '/files/demo/0123456789abcdef/demo-1.0%2F..%2Fx.tar.gz',
    '/files/demo/demo-1.0.tar.gz',
    '/pypi/demo',
    '/pypi/demo/json/',
    '/pypi/demo/%20/json',
    '/integrity/demo/1.0/demo-1.0.tar.gz',
    '/integrity/Demo/1.0/demo-1.0.tar.gz/provenance',
    '/packages/demo-1.0.tar.gz',
  ])('%s', (path) => {
    expect(route(request(path))).toBeUndefined();
  });

  it('changes', () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      expect(() => route(request('/legacy/', { method }))).toThrow(EntrepotError);
    }
  });
});

describe('pages', () => {
  it.each([
    [undefined, 'text', 'text/html; charset=utf-8'],
    ['*/*', 'text', 'text/html; charset=utf-8'],
    ['application/json', 'text', 'text/html; charset=utf-8'],
    ['text/html', 'text', 'text/html; charset=utf-8'],
    ['application/vnd.pypi.simple.v1+json', 'json', 'application/vnd.pypi.simple.v1+json'],
    ['application/vnd.pypi.simple.latest+json', 'json', 'application/vnd.pypi.simple.v1+json'],
    ['application/vnd.pypi.simple.latest+html', 'html', 'application/vnd.pypi.simple.v1+html'],
    ['APPLICATION/vnd.PyPI.simple.v1+JSON; q=0.9, text/html;q=0.1', 'json', 'application/vnd.pypi.simple.v1+json'],
    ['application/vnd.pypi.simple.v1+json;q=0, text/html', 'text', 'text/html; charset=utf-8'],
    ['application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01', 'html', 'application/vnd.pypi.simple.v1+html'],
    [
      'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01',
      'json',
      'application/vnd.pypi.simple.v1+json',
    ],
  ])('Accept %s is answered as %s', async (accept, variant, mediaType) => {
    const found = await bound(request('/simple/demo/', accept === undefined ? {} : { accept }));
    expect(found).toMatchObject({ kind: 'document', key: 'simple/demo', variant, mediaType, vary: ['Accept'] });
  });

  it('take no property of an object for a media type', () => {
    expect(chooseForm('constructor, __proto__;q=1, toString')).toBe('text');
  });

  it('are asked of the upstream in its best form, whatever the client takes', async () => {
    const found = (await bound(request('/simple/demo/', { accept: 'text/html' }))) as DocumentResource;
    expect(found).toMatchObject({ upstreamPath: 'simple/demo/', accept: expect.stringMatching(/^application.*json,/) });
  });
});

describe('files', () => {
  it.each([
    ['demo-1.0-py3-none-any.whl', 'demo', '1.0'],
    ['demo-1.0+cu118-cp311-cp311-linux_x86_64.whl', 'demo', '1.0+cu118'],
    ['Foo.Bar_baz-2.0rc1-1-py3-none-any.whl', 'foo-bar-baz', '2.0rc1'],
    ['foo-bar-baz-1!2.0.tar.gz', 'foo-bar-baz', '1!2.0'],
    ['foo_bar_baz-2.0.0.tar.gz', 'foo-bar-baz', '2.0.0'],
    ['foo.bar-baz-v1.0-alpha.1.zip', 'foo-bar-baz', '1.0a1'],
    ['demo-1.0-py2.7.egg', 'demo', '1.0'],
    ['demo-1.0.win32-py2.7.exe', 'demo', '1.0'],
    ['demo-1.0.linux-x86_64.tar.gz', 'demo', '1.0'],
  ])('%s of %s is version %s', async (name, project, version) => {
    const found = await bound(request(`/files/${project}/0123456789abcdef/${encodeURIComponent(name)}`));
    expect(found).toMatchObject({
      kind: 'artifact',
      class: 'file',
      key: `file/${project}/0123456789abcdef/${name}`,
      filename: name,
      coordinates: { ecosystem: 'pypi', name: project, version },
      describedBy: [{ key: `simple/${project}` }],
    });
  });

  it('are decoded once', async () => {
    const found = await bound(request('/files/demo/0123456789abcdef/demo-1.0%252Bx.tar.gz'));
    expect(found).toMatchObject({
      filename: 'demo-1.0%2Bx.tar.gz',
      upstreamPath: 'files/demo/0123456789abcdef/demo-1.0%252Bx.tar.gz',
    });
  });

  it('have sidecars of their own', async () => {
    const metadata = await bound(request('/files/demo/0123456789abcdef/demo-1.0-py3-none-any.whl.metadata'));
    expect(metadata).toMatchObject({ class: 'metadata', coordinates: { version: '1.0' } });
    const signature = await bound(request('/files/demo/u-0123456789abcdef/demo-1.0.tar.gz.asc'));
    expect(signature).toMatchObject({ class: 'signature', filename: 'demo-1.0.tar.gz.asc' });
  });
});

describe('owners', () => {
  const owners = [{ match: ['Acme.*', 'internal'], upstream: 'acme' }];
  const owned = router([PUBLIC, PRIVATE], { owners });

  it.each([
    '/simple/acme-sdk/',
    '/simple/internal/',
    '/files/acme-sdk/0123456789abcdef/acme_sdk-1.0.tar.gz',
    '/files/acme-sdk/0123456789abcdef/acme_sdk-1.0-py3-none-any.whl.metadata',
  ])('%s is asked of its owner alone', (path) => {
    expect(owned(request(path))).toMatchObject({ scope: 'acme' });
  });

  it('asks a page where the owner has it, and refuses what is not below its URL', () => {
    expect(owned(request('/simple/acme-sdk/'))).toMatchObject({ path: 'acme-sdk/' });
    expect(owned(request('/pypi/acme-sdk/json'))).toMatchObject({ status: 404 });
  });

  it.each(['/simple/acme/', '/simple/demo/', '/simple/not-acme-sdk/', '/simple/internals/'])(
    '%s belongs to nobody',
    (path) => {
      expect(owned(request(path))).toMatchObject({ scope: undefined, path: path.slice(1) });
    },
  );

  it('of all spellings of a name is one', () => {
    for (const name of ['ACME_sdk', 'acme.sdk', 'Acme--Sdk']) {
      const { headers } = owned(request(`/simple/${name}/`)) as LocalReply;
      expect(headers?.['Location']).toBe('../acme-sdk/');
    }
  });

  it('must be upstreams, and every scope must be one', () => {
    expect(() => router([PUBLIC], { owners })).toThrow(
      /owners: expected the scope of an upstream \(none\), found acme/,
    );
    expect(() => router([PUBLIC, PRIVATE])).toThrow(/no rule gives names to the scope acme/);
  });
});

describe('upstreams', () => {
  it.each([
    ['https://index.example.com', undefined, 'simple/demo/'],
    ['https://index.example.com/pypi/simple', undefined, 'demo/'],
    ['https://index.example.com/root/dev/+simple/', undefined, 'demo/'],
    ['https://index.example.com/whl/cpu', '', 'demo/'],
    ['https://index.example.com', 'api/simple', 'api/simple/demo/'],
  ])('%s with simplePath %s has its pages at %s', (url, simplePath, path) => {
    const found = router([{ url }], simplePath === undefined ? {} : { simplePath })(request('/simple/demo/'));
    expect(found).toMatchObject({ path });
  });

  it('of one scope are laid out alike', () => {
    expect(() => router([PUBLIC, { url: 'https://b.example.com/simple' }])).toThrow(/end in \/simple, or none of them/);
  });
});

describe('options', () => {
  it.each([
    { owners: [{ match: 'a b', upstream: 'x' }] },
    { owners: [{ match: '*', upstream: 'x' }] },
    { owners: [{ match: [], upstream: 'x' }] },
    { owners: [{ match: 'a', upstream: '' }] },
    { simplePath: '/simple' },
    { simplePath: 'a/../b' },
    { other: 1 },
  ])('%j is refused', (options) => {
    expect(pypiOptions.safeParse(options).success).toBe(false);
  });
});
