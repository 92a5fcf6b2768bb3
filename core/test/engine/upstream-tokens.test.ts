import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EngineServices, RepositoryDefinition } from '../../src/engine/index.js';
import { Upstreams } from '../../src/engine/upstream/upstreams.js';
import { type AddressZone, DEFAULT_FRESHNESS, EntrepotError, type Transport } from '../../src/index.js';
import { FakeUpstream, ManualClock, NodeTransport } from '../../src/testing/index.js';
import { addressedSide, digestOf } from './addressed-side.js';
import { openHarness, type Harness, type HarnessOptions } from './harness.js';

/** Nothing is kept: the upstream is asked each time. */
const BYPASS = { ...DEFAULT_FRESHNESS.artifact, policy: 'bypass' } as const;
const BODY = '{"layers":[]}';
const PLACE = `/blobs/app/${digestOf(BODY)}`;
const BASIC = `Basic ${Buffer.from('user:secret').toString('base64')}`;

interface Guarded extends Harness {
  readonly realm: FakeUpstream;
  /** The `Authorization` headers that the upstream received, in order. */
  given(): (string | undefined)[];
}

interface GuardOptions {
  /** The header of a 401; `REALM` stands for the realm's URL. Several make several fields. */
  readonly challenge?: string | readonly string[];
  readonly reply?: (asked: number) => unknown;
  /** Whether the upstream takes this `Authorization`. */
  readonly takes?: (authorization: string | undefined) => boolean;
  readonly definition?: HarnessOptions['definition'];
  readonly authorization?: string;
}

/** An upstream that wants tokens, and a realm on another port that gives them: `token-1`, `token-2`, … */
async function openGuarded(options: GuardOptions = {}): Promise<Guarded> {
  const {
    challenge = 'Bearer realm="REALM",service="registry"',
    takes = (given) => given?.startsWith('Bearer t') === true,
  } = options;
  const realm = await FakeUpstream.start();
  onTestFinished(() => realm.close());
  const upstream = await FakeUpstream.start();
  onTestFinished(() => upstream.close());
  let asked = 0;
  realm.handle('/token', (_request, response) => {
    asked += 1;
    const said = options.reply?.(asked) ?? { token: `token-${asked}`, expires_in: 300 };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(typeof said === 'string' ? said : JSON.stringify(said));
  });
  const fields = [challenge].flat().map((field) => field.replaceAll('REALM', `${realm.url}/token`));
  upstream.handle(PLACE, (request, response) => {
    if (takes(request.headers['authorization'])) response.writeHead(200, { 'content-length': BODY.length }).end(BODY);
    else response.writeHead(401, { 'www-authenticate': fields }).end('no');
  });
  const harness = await openHarness({
    side: addressedSide,
    definition: {
      upstreams: [{ url: upstream.url, ...(options.authorization && { authorization: options.authorization }) }],
      ...options.definition,
    },
  });
  const given = (): (string | undefined)[] => upstream.requests.map(({ headers }) => headers['authorization']);
  return { ...harness, upstream, realm, given };
}

describe('an upstream that wants a token', () => {
  it('is asked with one from its realm, for our scope', async () => {
    const { get, realm, given } = await openGuarded();
    expect(await (await get(PLACE)).text()).toBe(BODY);
    expect(given()).toEqual([undefined, 'Bearer token-1']);
    expect(realm.requests.map(({ path }) => path)).toEqual(['/token?service=registry&scope=pull%3Aapp']);
    expect(realm.requests[0]?.headers['authorization']).toBeUndefined();
  });

  it.each([
    ['a placeholder for a scope', 'Bearer realm="REALM",service="registry",scope="repository:user/image:pull"'],
    ['no scope', 'Bearer realm="REALM",service="registry"'],
    ['two scopes', 'Bearer realm="REALM",service="registry",scope="a b"'],
    ['two challenges', 'Basic realm="x", Bearer realm="REALM",service="registry"'],
    ['two fields', ['Basic realm="x"', 'Bearer realm="REALM",service="registry"']],
    ['lower case', 'bearer Realm="REALM", Service=registry'],
    ['commas in quotes', 'Bearer error="a, b",realm="REALM",scope="c:pull,push",service="registry"'],
  ])('is understood with %s', async (_name, challenge) => {
    const { get, realm } = await openGuarded({ challenge });
    expect(await (await get(PLACE)).text()).toBe(BODY);
    expect(realm.requests.map(({ path }) => path)).toEqual(['/token?service=registry&scope=pull%3Aapp']);
  });

  it('keeps what the realm asks for in its own query', async () => {
    const { get, realm } = await openGuarded({ challenge: 'Bearer realm="REALM?tenant=7"' });
    expect((await get(PLACE)).status).toBe(200);
    expect(realm.requests[0]?.path).toBe('/token?tenant=7&scope=pull%3Aapp');
  });

  it.each([
    ['token', { token: 'tok' }],
    ['access_token', { access_token: 'tok', refresh_token: 'no' }],
    ['both', { token: 'tok', access_token: 'other' }],
    ['an empty token', { token: '', access_token: 'tok' }],
  ])('takes %s', async (_name, reply) => {
    const { get, given } = await openGuarded({ reply: () => reply });
    expect((await get(PLACE)).status).toBe(200);
    expect(given().at(-1)).toBe('Bearer tok');
  });

  it.each(['', 'token', 'null', '[]', '{}', '{"token":7}', '{"token":"a b"}', '{"token":"a\\r\\nb"}', '"x"'])(
    'is out of order when its realm sends %s',
    async (reply) => {
      const { get } = await openGuarded({ reply: () => reply });
      expect(await get(PLACE)).toMatchObject({ status: 502, outcome: { code: 'UPSTREAM_PROTOCOL' } });
    },
  );

  it('is out of order when its realm sends without end', async () => {
    const { get } = await openGuarded({ reply: () => JSON.stringify({ token: 'a'.repeat(300_000) }) });
    expect(await get(PLACE)).toMatchObject({ status: 502, outcome: { code: 'UPSTREAM_TOO_LARGE' } });
  });

  const start = Date.parse('2026-01-01T00:00:00Z');
  it.each([
    ['as long as it says', { expires_in: 300 }, 280, 295],
    ['a minute when it does not say', {}, 45, 55],
    ['a minute when it says nothing', { expires_in: 0 }, 45, 55],
    ['a minute when it says nonsense', { expires_in: 'soon' }, 45, 55],
    ['as a string', { expires_in: '300' }, 280, 295],
    ['from when it was issued', { expires_in: 300, issued_at: new Date(start - 200_000).toISOString() }, 85, 95],
    ['by our clock when theirs is behind', { expires_in: 300, issued_at: '2020-01-01T00:00:00Z' }, 280, 295],
    ['by our clock when theirs is ahead', { expires_in: 300, issued_at: '2030-01-01T00:00:00Z' }, 280, 295],
    ['by our clock when the date is none', { expires_in: 300, issued_at: 'yesterday' }, 280, 295],
  ])('is asked with the same token: %s', async (_name, more, still, over) => {
    const { get, clock, realm, given } = await openGuarded({
      reply: (asked) => ({ token: `token-${asked}`, ...more }),
      definition: { freshness: { bytes: BYPASS, blobs: BYPASS } },
    });
    clock.set(start);
    await (await get(PLACE)).bytes();
    clock.set(start + still * 1000);
    await (await get(PLACE)).bytes();
    expect(realm.requests).toHaveLength(1);
    clock.set(start + over * 1000);
    await (await get(PLACE)).bytes();
    expect(given()).toEqual([undefined, 'Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  });

  it('is asked once more when it refuses a token, and no more', async () => {
    let revoked = false;
    const { get, given } = await openGuarded({
      takes: (authorization) => authorization === (revoked ? 'Bearer token-2' : 'Bearer token-1'),
      definition: { freshness: { bytes: BYPASS, blobs: BYPASS } },
    });
    await (await get(PLACE)).bytes();
    revoked = true;
    expect((await get(PLACE)).status).toBe(200);
    expect(given()).toEqual([undefined, 'Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  });

  it('refuses what its token does not open', async () => {
    const { get, given } = await openGuarded({ takes: () => false });
    expect(await get(PLACE)).toMatchObject({ outcome: { code: 'UPSTREAM_FORBIDDEN' } });
    expect(given()).toEqual([undefined, 'Bearer token-1']);
  });

  it('gives one token to all who want it at the same time', async () => {
    const { get, realm, upstream } = await openGuarded({ definition: { freshness: { bytes: BYPASS, blobs: BYPASS } } });
    const gate = realm.hold('/token');
    const answers = Array.from({ length: 20 }, () => get(PLACE));
    await gate.reached;
    while (upstream.count(PLACE) < 20) await new Promise(setImmediate);
    gate.open();
    for (const answer of await Promise.all(answers)) expect(await answer.text()).toBe(BODY);
    expect(realm.requests).toHaveLength(1);
  });

  it('wants another token for another scope', async () => {
    const { get, realm, upstream } = await openGuarded();
    upstream.handle(PLACE.replace('app', 'web'), (request, response) => {
      const known = request.headers['authorization'] === 'Bearer token-2';
      response.writeHead(known ? 200 : 401, { 'www-authenticate': `Bearer realm="${realm.url}/token"` });
      response.end(known && request.method === 'GET' ? BODY : undefined);
    });
    expect((await get(PLACE)).status).toBe(200);
    expect((await get(PLACE.replace('app', 'web'))).status).toBe(200);
    expect(realm.requests.map(({ path }) => path.split('scope=')[1])).toEqual(['pull%3Aapp', 'pull%3Aweb']);
  });

  it('is refused without a scope of ours', async () => {
    const { get, realm, upstream } = await openGuarded();
    upstream.serve('/files/a', {
      status: 401,
      headers: { 'www-authenticate': `Bearer realm="${realm.url}/token"` },
    });
    expect(await get('/files/a')).toMatchObject({ outcome: { code: 'UPSTREAM_FORBIDDEN' } });
    expect(realm.requests).toHaveLength(0);
  });
});

describe('credentials', () => {
  it('go to the realm, and not to an upstream that wants tokens', async () => {
    const { get, realm, given } = await openGuarded({ authorization: BASIC });
    expect((await get(PLACE)).status).toBe(200);
    expect(realm.requests[0]?.headers['authorization']).toBe(BASIC);
    expect(given()).toEqual([undefined, 'Bearer token-1']);
  });

  it('go to an upstream that wants them itself, from then on at once', async () => {
    const { get, given, realm } = await openGuarded({
      challenge: 'Basic realm="registry"',
      authorization: BASIC,
      takes: (authorization) => authorization === BASIC,
      definition: { freshness: { bytes: BYPASS, blobs: BYPASS } },
    });
    expect((await get(PLACE)).status).toBe(200);
    expect((await get(PLACE)).status).toBe(200);
    expect(given()).toEqual([undefined, BASIC, BASIC]);
    expect(realm.requests).toHaveLength(0);
  });

  it('are not sent twice when they are refused', async () => {
    const { get, given } = await openGuarded({
      challenge: 'Basic realm="registry"',
      authorization: BASIC,
      takes: () => false,
      definition: { freshness: { bytes: BYPASS, blobs: BYPASS } },
    });
    await get(PLACE);
    expect(await get(PLACE)).toMatchObject({ outcome: { code: 'UPSTREAM_FORBIDDEN' } });
    expect(given()).toEqual([undefined, BASIC, BASIC]);
  });

  it('that are a token go up front', async () => {
    const { get, given, realm } = await openGuarded({
      authorization: 'Bearer mine',
      takes: (one) => one === 'Bearer mine',
    });
    expect((await get(PLACE)).status).toBe(200);
    expect(given()).toEqual(['Bearer mine']);
    expect(realm.requests).toHaveLength(0);
  });

  it('that the realm refuses are told as such', async () => {
    const { get, realm } = await openGuarded({ authorization: BASIC });
    realm.serve('/token', { status: 401 });
    const answer = await get(PLACE);
    expect(answer.outcome).toMatchObject({ code: 'UPSTREAM_TOKEN_REFUSED' });
    expect(await answer.text()).not.toContain(BASIC.slice(6));
  });

  it('never follow the realm to another origin', async () => {
    const { get, realm, given } = await openGuarded({ authorization: BASIC });
    const other = await FakeUpstream.start();
    onTestFinished(() => other.close());
    other.serve('/elsewhere', { body: '{"token":"tok"}' });
    realm.serve('/token', { status: 307, headers: { location: `${other.url}/elsewhere` } });
    expect((await get(PLACE)).status).toBe(200);
    expect(other.requests[0]?.headers['authorization']).toBeUndefined();
    expect(given().at(-1)).toBe('Bearer tok');
  });
});

describe('a realm', () => {
  const elsewhere = (harness: Guarded): string => harness.realm.url.replace('127.0.0.1', 'localhost');

  it.each([
    ['of another site', 'Bearer realm="http://localhost:1/token"'],
    ['at the metadata address', 'Bearer realm="http://169.254.169.254/latest"'],
    ['that is no URL', 'Bearer realm="file:///etc/passwd"'],
  ])('%s is not asked', async (_name, challenge) => {
    const { get } = await openGuarded({ authorization: BASIC, challenge });
    expect(await get(PLACE)).toMatchObject({ outcome: { code: 'REALM_UNTRUSTED' } });
  });

  it('that the operator names is asked', async () => {
    const harness = await openGuarded({ definition: { trustedRealms: ['localhost'] } });
    harness.upstream.handle(PLACE, (request, response) => {
      const known = request.headers['authorization'] === 'Bearer token-1';
      response.writeHead(known ? 200 : 401, { 'www-authenticate': `Bearer realm="${elsewhere(harness)}/token"` });
      response.end(known ? BODY : 'no');
    });
    expect((await harness.get(PLACE)).status).toBe(200);
  });

  it('may not lead to one of another site', async () => {
    const harness = await openGuarded();
    harness.realm.serve('/token', { status: 302, headers: { location: `${elsewhere(harness)}/other` } });
    expect(await harness.get(PLACE)).toMatchObject({ outcome: { code: 'REALM_UNTRUSTED' } });
    expect(harness.realm.count('/other')).toBe(0);
  });

  it('that leads in a circle is an outage', async () => {
    const { get, realm } = await openGuarded();
    realm.serve('/token', { fault: { kind: 'redirect-loop' } });
    expect(await get(PLACE)).toMatchObject({ status: 502, outcome: { code: 'UPSTREAM_REDIRECTS' } });
  });

  it.each([
    [429, 503, 'UPSTREAM_429'],
    [503, 503, 'UPSTREAM_503'],
    [500, 502, 'UPSTREAM_500'],
    [404, 502, 'UPSTREAM_PROTOCOL'],
  ])('that answers %i is an outage', async (status, shown, code) => {
    const { get, realm } = await openGuarded();
    realm.serve('/token', { fault: { kind: 'status', status, retryAfter: status === 503 ? '7' : undefined } as never });
    expect(await get(PLACE)).toMatchObject({ status: shown, outcome: { code } });
  });
});

describe('a realm at a private address', () => {
  const REGISTRY = 'registry.example.com';
  const REALM = 'auth.example.com';

  /** The hosts that are asked, by their zones. The registry wants a token from the realm. */
  async function ask(zones: Record<string, AddressZone>, more: Partial<RepositoryDefinition> = {}): Promise<string[]> {
    const asked: string[] = [];
    const transport: Transport = {
      async send({ url, headers, allowPrivate, alsoZone }) {
        const zone = zones[url.hostname] ?? 'public';
        if (!allowPrivate && zone !== 'public' && zone !== alsoZone)
          throw new EntrepotError('forbidden', 'refused', { code: 'PRIVATE_ADDRESS' });
        asked.push(url.hostname);
        const isRealm = url.hostname === REALM;
        const status = isRealm || headers['authorization'] !== undefined ? 200 : 401;
        const challenge = { 'www-authenticate': `Bearer realm="https://${REALM}/token"` };
        const body = Readable.from([Buffer.from('{"token":"tok"}')]);
        return { status, headers: status === 401 ? challenge : {}, body, zone };
      },
      async dispose() {},
    };
    const definition = { name: 'test', allowPrivateHosts: [], trustedRealms: [], userAgent: 'test', ...more };
    const upstreams = new Upstreams(
      { ...definition, upstreams: [{ url: `https://${REGISTRY}` }] } as unknown as RepositoryDefinition,
      { clock: new ManualClock(), transport } as unknown as EngineServices,
    );
    const { signal } = new AbortController();
    await upstreams.fetch({ method: 'GET', path: '', tokenScope: 'a', headers: {}, signal, skipUnhealthy: false });
    return asked;
  }

  it.each<[string, Record<string, AddressZone>, Partial<RepositoryDefinition>?]>([
    ['where the upstream is', { [REGISTRY]: 'private', [REALM]: 'private' }],
    ['that is allowed', { [REALM]: 'private' }, { allowPrivateHosts: [REALM] }],
    ['that is named', { [REALM]: 'loopback' }, { trustedRealms: [REALM] }],
  ])('%s is asked', async (_name, zones, more) => {
    expect(await ask(zones, more)).toEqual([REGISTRY, REALM, REGISTRY]);
  });

  it.each<[string, Record<string, AddressZone>]>([
    ['of a public upstream', { [REALM]: 'private' }],
    ['on this machine', { [REGISTRY]: 'private', [REALM]: 'loopback' }],
  ])('%s is not asked', async (_name, zones) => {
    await expect(ask(zones)).rejects.toMatchObject({ code: 'PRIVATE_ADDRESS' });
  });
});

it('a token that one no longer waits for comes for the others', async () => {
  const { realm, upstream, repository } = await openGuarded();
  const transport = new NodeTransport();
  onTestFinished(() => transport.dispose());
  const upstreams = new Upstreams(repository.definition, {
    clock: new ManualClock(),
    transport,
  } as unknown as EngineServices);
  const leaving = new AbortController();
  const staying = new AbortController();
  const gate = realm.hold('/token');
  const [gone, here] = [leaving, staying].map(({ signal }) =>
    upstreams.fetch({
      method: 'HEAD',
      path: PLACE.slice(1),
      tokenScope: 'pull:app',
      headers: {},
      signal,
      skipUnhealthy: false,
    }),
  );
  await gate.reached;
  while (upstream.count(PLACE) < 2) await new Promise(setImmediate);
  const left = expect(gone).rejects.toMatchObject({ code: 'LEFT' });
  leaving.abort(new EntrepotError('upstream-unavailable', 'left', { code: 'LEFT' }));
  await left;
  gate.open();
  expect(await here).toMatchObject({ status: 200 });
  expect(realm.requests).toHaveLength(1);
});

describe('a redirect of a guarded place', () => {
  it.each([301, 302, 303, 307, 308])('%i to another host takes no token along', async (status) => {
    const { get, upstream, realm } = await openGuarded();
    const store = await FakeUpstream.start();
    onTestFinished(() => store.close());
    store.serve('/signed', { body: BODY });
    upstream.handle(PLACE, (request, response) => {
      if (request.headers['authorization'] === undefined)
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm.url}/token"` }).end();
      else response.writeHead(status, { location: `${store.url}/signed?sig=1` }).end();
    });
    expect(await (await get(PLACE)).text()).toBe(BODY);
    expect(store.requests[0]?.headers['authorization']).toBeUndefined();
  });

  it('is not answered with a token there either', async () => {
    const { get, upstream, realm } = await openGuarded({ takes: () => false });
    const store = await FakeUpstream.start();
    onTestFinished(() => store.close());
    store.serve('/signed', { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm.url}/token"` } });
    upstream.serve(PLACE, { status: 302, headers: { location: `${store.url}/signed` } });
    expect(await get(PLACE)).toMatchObject({ outcome: { code: 'UPSTREAM_FORBIDDEN' } });
    expect(realm.requests).toHaveLength(0);
    expect(store.requests).toHaveLength(1);
  });
});
