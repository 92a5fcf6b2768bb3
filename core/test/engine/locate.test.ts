import { describe, expect, it } from 'vitest';
import { artifactClass, documentClass, type LocateContext, type Location, type Resource } from '../../src/index.js';
import { digestOf } from './addressed-side.js';
import { openHarness, withClasses, type Harness } from './harness.js';

const SERVICES: Resource = { class: 'services', key: 'services.json', path: 'services.json' };

/** The text of the service index: the base URL of everything else, which may be on another host. */
async function baseOf({ read }: LocateContext): Promise<string> {
  return Buffer.from(await (await read(SERVICES)).bytes(1000)).toString();
}

/** `/pages/*` and `/files/*` are below the URL that `/services.json` names; `/summed/*` are promised by a file beside them. */
async function open(locate?: (resource: Resource, context: LocateContext) => Promise<Location | undefined>) {
  const own = async ({ key }: Resource, context: LocateContext): Promise<Location> => ({
    url: `${await baseOf(context)}${key}`,
  });
  const upstream = { locate: locate ?? own };
  const side = withClasses(
    {
      services: documentClass({ about: 'the service index' }),
      pages: documentClass({ about: 'a page elsewhere', upstream }),
      files: artifactClass({ about: 'a file elsewhere', upstream }),
    },
    {
      route({ segments }) {
        const key = segments.join('/');
        return { class: segments[0] === 'pages' ? 'pages' : 'files', key, path: key };
      },
    },
  );
  const [harness, elsewhere] = [await openHarness({ side }), await openHarness()];
  harness.upstream.serve('/services.json', { body: `${elsewhere.upstream.url}/v3/` });
  return { ...harness, elsewhere: elsewhere.upstream };
}

const asked = ({ upstream }: Pick<Harness, 'upstream'>): string[] => upstream.requests.map(({ path }) => path);

describe('a place that a class finds', () => {
  it.each(['pages', 'files'])('is where its bytes are fetched: %s', async (area) => {
    const harness = await open();
    harness.elsewhere.serve(`/v3/${area}/x`, { body: 'from there', etag: '"1"' });
    expect(await (await harness.get(`/${area}/x`)).text()).toBe('from there');
    expect(asked(harness)).toEqual(['/services.json']);
    expect((await harness.ask('HEAD', `/${area}/y`)).status).toBe(404);
  });

  it('is none where there is nothing to find: then the upstream has them', async () => {
    const { get, upstream } = await open(async () => undefined);
    upstream.serve('/files/x', { body: 'from here' });
    expect(await (await get('/files/x')).text()).toBe('from here');
  });

  it('is asked with what it promises, and tells a size for HEAD', async () => {
    const { get, ask, elsewhere } = await open(async ({ key }, context) => {
      const url = `${await baseOf(context)}${key}`;
      const { bytes } = await context.ask({ url: `${url}.sum`, accept: 'text/plain', maxBytes: 100 });
      const hex = Buffer.from(bytes).toString();
      return { url, integrity: [{ algorithm: 'sha256', hex }], size: 5 };
    });
    for (const name of ['right', 'wrong']) {
      elsewhere.serve(`/v3/files/${name}`, { body: name });
      elsewhere.serve(`/v3/files/${name}.sum`, { body: digestOf('right').slice('sha256:'.length) });
    }
    expect(await (await get('/files/right')).text()).toBe('right');
    expect(elsewhere.requests[0]?.headers['accept']).toBe('text/plain');
    expect(await get('/files/wrong')).toMatchObject({ status: 502, outcome: { code: 'INTEGRITY' } });
    elsewhere.serve('/v3/files/refused', { status: 401 });
    elsewhere.serve('/v3/files/refused.sum', { body: digestOf('x').slice('sha256:'.length) });
    expect(await ask('HEAD', '/files/refused')).toMatchObject({ status: 200, headers: { 'Content-Length': '5' } });
  });

  it('may be one of several with the same bytes', async () => {
    const integrity = [{ algorithm: 'sha256' as const, hex: digestOf('right').slice('sha256:'.length) }];
    const places: string[] = [];
    const harness = await open(async ({ key }, context) => {
      await baseOf(context);
      const [url = '', ...mirrors] = places.map((place) => `${place}/${key}`);
      return { url, mirrors, integrity };
    });
    const [first, second, third] = [await openHarness(), await openHarness(), await openHarness()];
    places.push(...[first, second, third].map(({ upstream }) => upstream.url));
    const asks = () => [first, second, third].map((mirror) => asked(mirror).splice(0).length);
    for (const name of ['x', 'y']) {
      second.upstream.serve(`/files/${name}`, { body: 'wrong' });
      third.upstream.serve(`/files/${name}`, { body: 'right' });
    }
    // One that lacks it, and one with other bytes, are passed over.
    expect(await (await harness.get('/files/x')).text()).toBe('right');
    expect(asks()).toEqual([2, 1, 1]);
    first.upstream.serve('/files/z', { body: 'right' });
    first.upstream.serve('/files/refused', { status: 403 });
    third.upstream.serve('/files/refused', { body: 'right' });
    expect(await (await harness.get('/files/refused')).text()).toBe('right');
    for (const name of ['a', 'b', 'c', 'z']) {
      second.upstream.serve(`/files/${name}`, { body: 'right' });
      if (name !== 'z') first.upstream.serve(`/files/${name}`, { status: 500 });
      expect(await (await harness.get(`/files/${name}`)).text()).toBe('right');
    }
    // One that failed three times in a row is asked last for a while.
    expect(asked(first)).not.toContain('/files/z');
    harness.clock.advance(60_000);
    first.upstream.serve('/files/w', { body: 'right' });
    expect(await (await harness.get('/files/w')).text()).toBe('right');
  });

  it('has a bound on what is read of it', async () => {
    const { get, elsewhere } = await open(async (_resource, context) => {
      const { url } = await context.ask({ url: `${await baseOf(context)}large`, accept: '*/*', maxBytes: 10 });
      return { url };
    });
    elsewhere.serve('/v3/large', { fault: { kind: 'endless' } });
    expect(await get('/files/x')).toMatchObject({ status: 502, outcome: { code: 'UPSTREAM_TOO_LARGE' } });
  });

  it.each(['169.254.169.254', '10.0.0.1:5000'])(
    'is not asked in a network that its namer is not in: %s',
    async (host) => {
      const { get, upstream } = await open();
      upstream.serve('/services.json', { body: `http://${host}/` });
      expect(await get('/files/x')).toMatchObject({ outcome: { code: 'PRIVATE_ADDRESS' } });
    },
  );

  it('is a fault of the plugin where looking for it fails', async () => {
    const { get } = await open(async () => {
      throw new TypeError('no such member');
    });
    expect(await get('/files/x')).toMatchObject({ status: 500, outcome: { code: 'PLUGIN' } });
  });
});
