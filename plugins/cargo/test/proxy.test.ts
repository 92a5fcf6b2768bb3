import {
  FixedPolicy,
  type FixedRule,
  openTestRepository,
  type TestReply,
  type TestRepository,
} from '@entrepot/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import plugin from '../src/index.js';
import { crateUrl } from '../src/registry-config.js';
import { yanked } from '../src/index-lines.js';
import { line, sha256 } from './fixtures.js';

const BASE = '/upstream/base';
const BYTES = 'the bytes of a crate';
const DOWNLOAD = '/api/v1/crates/demo/1.0.0/download';
const opened: TestRepository[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((repository) => repository.close()));
});

/** A proxy of a registry with one crate. */
async function open(
  index = line('demo', '1.0.0', BYTES),
  more: Partial<Parameters<typeof openTestRepository>[0]> = {},
) {
  const repository = await openTestRepository({ plugin, ...more });
  opened.push(repository);
  const { upstream, upstreamUrl } = repository;
  upstream.serve(`${BASE}/config.json`, { body: JSON.stringify({ dl: `${upstreamUrl}/dl` }) });
  upstream.serve(`${BASE}/de/mo/demo`, { body: index });
  upstream.serve(`${BASE}/dl/demo/1.0.0/download`, { body: BYTES });
  return repository;
}

function denying(name: string, version?: string): FixedRule {
  const matches: FixedRule['matches'] = ({ coordinates }) =>
    coordinates.name === name && (version === undefined || coordinates.version === version);
  return { id: 'test', action: 'deny', reason: 'denied by a test', matches };
}

const text = async (reply: Promise<TestReply>): Promise<string> => (await reply).body.toString();
const asked = ({ upstream }: TestRepository): string[] => upstream.requests.map(({ path }) => path.slice(BASE.length));

describe('an index', () => {
  it('is relayed byte for byte, whatever fields it has', async () => {
    const index = `${line('demo', '1.0.0', BYTES, { v: 9, 'new field': { a: [1.0, 'é'] } }).replace(/,/g, ' , ')}\r\n\n${line('demo', '1.1.0', BYTES).trim()}`;
    const { ask } = await open(index);
    const reply = await ask('/de/mo/demo');
    expect(reply.body.toString()).toBe(index);
    expect(reply.headers['etag']).toMatch(/^"[\x21-\x7e]+"$/);
    const again = await ask({ path: '/de/mo/demo', headers: { 'if-none-match': reply.headers['etag'] as string } });
    expect(again.status).toBe(304);
  });

  it('has the versions that policy refuses as yanked, and nothing else changed', async () => {
    const lines = [
      line('demo', '1.0.0', BYTES),
      line('demo', '1.1.0', 'a').replace('"yanked":false', '"yanked" : false'),
      line('demo', '1.2.0', 'b'),
    ];
    const policy = new FixedPolicy([denying('demo', '1.1.0')]);
    const { ask } = await open(lines.join(''), { policy });
    expect(await text(ask('/de/mo/demo'))).toBe(lines.join('').replace('"yanked" : false', '"yanked" : true'));
    const refused = await ask('/api/v1/crates/demo/1.1.0/download');
    expect(refused.status).toBe(403);
    const { errors } = JSON.parse(refused.body.toString()) as { errors: { detail: string }[] };
    expect(errors[0]?.detail).toContain('pkg:cargo/demo@1.1.0');
  });

  it.each([
    ['of another crate', line('other', '1.0.0', BYTES)],
    ['that is no JSON', '<html>\n'],
    ['without a sum', line('demo', '1.0.0', BYTES, { cksum: 'none' })],
    ['without a version', line('demo', '', BYTES)],
    ['of 10 MB', line('demo', '1.0.0', BYTES, { features: { a: ['x'.repeat(10_000_000)] } })],
    ['of lists in lists', `{"name":"demo","vers":"1.0.0","deps":${'['.repeat(60_000)}`],
  ])('is not taken with a line %s', async (_what, index) => {
    const { ask, entries } = await open(index);
    expect((await ask('/de/mo/demo')).status).toBe(502);
    expect((await ask(DOWNLOAD)).status).toBe(502);
    expect(await entries.list('test', { prefix: '', limit: 10 })).toEqual([]);
  });

  it('is asked for once, of a crate that is not there', async () => {
    const repository = await open();
    for (const path of ['/no/ne/no_ne', '/no/-n/no-ne', '/no/ne/no_ne', '/no/-n/no-ne', '/no/_n/no_ne']) {
      expect((await repository.ask(path)).status).toBe(404);
    }
    expect(asked(repository)).toEqual(['/no/-n/no-ne', '/no/_n/no_ne']);
  });
});

describe('a crate', () => {
  it('is checked against its index line before any client asked for that', async () => {
    const repository = await open();
    const reply = await repository.ask(DOWNLOAD);
    expect(reply).toMatchObject({ status: 200, body: Buffer.from(BYTES) });
    expect(asked(repository)).toEqual(['/de/mo/demo', '/config.json', '/dl/demo/1.0.0/download']);
  });

  it('is neither served nor kept where its bytes are others', async () => {
    const { ask, entries, upstream } = await open();
    upstream.serve(`${BASE}/dl/demo/1.0.0/download`, { body: 'other bytes of it' });
    for (const path of [DOWNLOAD, `/api/v1/crates/demo/1.0.0/${sha256(BYTES)}/download`]) {
      const { status, error } = await ask(path);
      expect(error !== undefined || status === 502).toBe(true);
    }
    expect(await entries.list('test', { prefix: 'crate/', limit: 10 })).toEqual([]);
  });

  it('is not served for a sum that its index line does not have', async () => {
    const { ask } = await open();
    const wrong = `/api/v1/crates/demo/1.0.0/${sha256('another')}/download`;
    const cold = await ask(wrong);
    expect(cold.status).toBe(404);
    expect((await ask(DOWNLOAD)).status).toBe(200);
    const warm = await ask(wrong);
    expect(warm.status).toBe(404);
  });

  it('comes from where config.json says now', async () => {
    const { ask, upstream, upstreamUrl, clock } = await open(
      line('demo', '1.0.0', BYTES) + line('demo', '1.1.0', 'new'),
    );
    expect((await ask(DOWNLOAD)).status).toBe(200);
    upstream.serve(`${BASE}/config.json`, { body: JSON.stringify({ dl: `${upstreamUrl}/new/{sha256-checksum}` }) });
    upstream.serve(`${BASE}/new/${sha256('new')}`, { body: 'new' });
    clock.advance(10 * 60_000);
    expect(await text(ask('/api/v1/crates/demo/1.1.0/download'))).toBe('new');
  });

  it.each(['ftp://packages.example.com', '', 'file:///etc/passwd'])(
    'comes from nowhere for the template %j',
    async (dl) => {
      const { ask, upstream } = await open();
      upstream.serve(`${BASE}/config.json`, { body: JSON.stringify({ dl }) });
      expect((await ask(DOWNLOAD)).status).toBe(502);
    },
  );

  it('is served from an upstream that is gone', async () => {
    const { ask, upstream, clock } = await open();
    await ask('/config.json');
    await ask(DOWNLOAD);
    clock.advance(60 * 60_000);
    upstream.requests.length = 0;
    upstream.remove(`${BASE}/config.json`);
    upstream.handle(`${BASE}/de/mo/demo`, (_request, response) => void response.writeHead(503).end());
    expect((await ask('/de/mo/demo')).status).toBe(200);
    expect((await ask(DOWNLOAD)).status).toBe(200);
  });
});

describe('a template of URLs', () => {
  const place = { name: 'MyCrate', version: '1.0.0+a', sha256: 'f00' };

  it.each([
    ['https://a.example.com/dl', 'https://a.example.com/dl/MyCrate/1.0.0%2Ba/download'],
    ['https://a.example.com/{sha256-checksum}', 'https://a.example.com/f00'],
    ['https://a.example.com/{prefix}/{lowerprefix}/{crate}', 'https://a.example.com/My/Cr/my/cr/MyCrate'],
    ['https://a.example.com/{crate}-{version}.crate', 'https://a.example.com/MyCrate-1.0.0%2Ba.crate'],
    ['https://a.example.com/{other}', 'https://a.example.com/{other}/MyCrate/1.0.0%2Ba/download'],
  ])('%s', (dl, url) => {
    expect(crateUrl(dl, place)).toBe(url);
  });
});

describe('a line that is yanked', () => {
  it.each([
    ['{"name":"a","yanked":false}\n', '{"name":"a","yanked":true}\n'],
    ['{"name":"a","yanked":null,"x":{"yanked":false}}', '{"name":"a","yanked":true,"x":{"yanked":false}}'],
    ['{"name":"a"}\r\n', '{"name":"a","yanked":true}\r\n'],
    ['{"yanked":true}', '{"yanked":true}'],
    ['{"yanked":false,"yanked":false}', '{"yanked":true,"yanked":true}'],
    ['{"yank\\u0065d":false}', '{"yank\\u0065d":true}'],
  ])('%s', (before, after) => {
    expect(yanked(Buffer.from(before)).toString()).toBe(after);
  });
});

describe('the licence of a version', () => {
  const gpl: FixedRule = {
    id: 'test',
    action: 'deny',
    reason: 'denied by a test',
    matches: ({ facts }) => facts.licenses?.includes('GPL-3.0-only') === true,
  };
  const api = (versions: readonly object[]) => ({
    body: JSON.stringify({ crate: { id: 'demo', versions: [1, 2] }, versions }),
    mediaType: 'application/json',
  });

  /** A proxy whose upstream has an API beside its index. */
  async function withApi() {
    const started = await openTestRepository({ plugin });
    opened.push(started);
    const { upstreamUrl: url } = started;
    const upstreams = [{ url }, { url, scope: 'api' }];
    return Object.assign(
      await open(line('demo', '1.0.0', BYTES), { policy: new FixedPolicy([gpl]), definition: { upstreams } }),
      { api: started.upstream },
    );
  }

  it('is what the API says of it, where there is one', async () => {
    const { ask, api: upstream, upstreamUrl } = await withApi();
    upstream.serve(`${BASE}/config.json`, { body: JSON.stringify({ dl: `${upstreamUrl}/dl` }) });
    upstream.serve(`${BASE}/de/mo/demo`, { body: line('demo', '1.0.0', BYTES) + line('demo', '1.1.0', 'x') });
    upstream.serve(
      `${BASE}/api/v1/crates/demo`,
      api([
        { num: '1.0.0', license: 'MIT/Apache-2.0' },
        { num: '1.1.0', license: 'GPL-3.0-only' },
      ]),
    );
    expect(await text(ask('/de/mo/demo'))).toBe(
      line('demo', '1.0.0', BYTES) + line('demo', '1.1.0', 'x', { yanked: true }),
    );
    expect((await ask('/api/v1/crates/demo/1.1.0/download')).status).toBe(403);
  });

  it('is not known where the API does not know the crate', async () => {
    const { ask, api: upstream } = await withApi();
    upstream.serve(`${BASE}/de/mo/demo`, { body: line('demo', '1.0.0', BYTES) });
    expect(await text(ask('/de/mo/demo'))).toBe(line('demo', '1.0.0', BYTES));
  });

  it('is asked for again where the API answers with a page', async () => {
    const { ask, api: upstream } = await withApi();
    upstream.serve(`${BASE}/de/mo/demo`, { body: line('demo', '1.0.0', BYTES) });
    upstream.serve(`${BASE}/api/v1/crates/demo`, { body: '<html>' });
    expect((await ask('/de/mo/demo')).status).toBe(502);
  });
});

describe('searches and owners', () => {
  it('are passed on to the upstream of the scope api, but for names that policy refuses', async () => {
    const policy = new FixedPolicy([denying('secret')]);
    const repository = await open(undefined, { scope: 'api', policy });
    const { ask, upstream } = repository;
    const body = '{"crates":[],"meta":{"total":0}}';
    upstream.serve(`${BASE}/api/v1/crates?q=demo&per_page=10`, { body, mediaType: 'application/json' });
    upstream.serve(`${BASE}/api/v1/crates/demo/owners`, { body: '{"users":[]}', mediaType: 'application/json' });
    expect(await text(ask('/api/v1/crates?q=demo&per_page=10&x=1'))).toBe(body);
    expect(await text(ask('/api/v1/crates/demo/owners'))).toBe('{"users":[]}');
    const before = asked(repository).length;
    for (const path of ['/api/v1/crates?q=secret', '/api/v1/crates/secret/owners']) {
      expect((await ask(path)).status).toBe(403);
    }
    expect(asked(repository)).toHaveLength(before);
  });
});
