import { describe, expect, it } from 'vitest';
import { artifactClass, documentClass, type ArtifactDescription } from '../../src/index.js';
import { openHarness, parsedOf, withClasses, type Harness } from './harness.js';
import { digestOf } from './addressed-side.js';

const BYTES = 'the bytes';
const HEX = digestOf(BYTES).slice('sha256:'.length);

/** A repository whose document says that `app.tgz` is at the first of these places, and at the others too. */
async function open(...places: string[]): Promise<Harness> {
  return await openOrdered('mirrors', ...places);
}

async function openOrdered(order: 'mirrors' | 'origins', ...places: string[]): Promise<Harness> {
  let description: ArtifactDescription = { integrity: [] };
  const side = withClasses(
    {
      index: documentClass({ about: 'the index', parse: async () => parsedOf(new Map([['app.tgz', description]])) }),
      file: artifactClass({
        about: 'a file',
        upstream: { order },
        trust: { describedBy: () => ({ class: 'index', key: 'index', path: 'index' }) },
      }),
    },
    { route: ({ segments }) => ({ class: 'file', key: segments.join('/'), path: 'own/app.tgz' }) },
  );
  const harness = await openHarness({ side });
  const [location, ...mirrors] = places.map((path) => new URL(path, harness.upstream.url).href);
  description = { integrity: [{ algorithm: 'sha256', hex: HEX }], location, mirrors };
  harness.upstream.serve('/index', { body: '{}' });
  return harness;
}

const asked = ({ upstream }: Harness): string[] =>
  upstream.requests.map(({ path }) => path).filter((path) => path !== '/index');

describe('bytes with other paths', () => {
  const side = withClasses(
    { file: artifactClass({ about: 'a file' }) },
    { route: () => ({ class: 'file', key: 'a', path: 'by-sum', otherPaths: ['by-name'] }) },
  );

  it('are fetched from there, where no mirror has them at the first', async () => {
    const { get, upstream } = await openHarness({ side });
    upstream.serve('/by-name', { body: BYTES });
    const reply = await get('/a');
    expect([reply.status, await reply.text()]).toEqual([200, BYTES]);
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/by-sum', '/by-name']);
  });

  it('are not asked for there of a mirror that is down', async () => {
    const { get, upstream } = await openHarness({ side });
    upstream.serve('/by-sum', { status: 500 });
    upstream.serve('/by-name', { body: BYTES });
    expect((await get('/a')).status).toBe(502);
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/by-sum']);
  });
});

describe('an artifact that is in several places', () => {
  it.each([
    ['is not at the first', 404],
    ['cannot be had from the first', 503],
  ])('is fetched from the next one when it %s', async (_how, status) => {
    const harness = await open('/one', '/two', '/three');
    harness.upstream.serve('/one', { status, body: '' });
    harness.upstream.serve('/two', { body: BYTES });
    const reply = await harness.get('/app.tgz');
    expect([reply.status, await reply.text()]).toEqual([200, BYTES]);
    expect(asked(harness)).toEqual(['/one', '/two']);
  });

  it('is fetched from where it would be without the document when the host that was named is out of reach', async () => {
    // Nothing listens there, and the second is no place that may be asked.
    for (const place of ['http://127.0.0.1:1/app.tgz', 'http://169.254.1.1/app.tgz']) {
      const harness = await open(place);
      harness.upstream.serve('/own/app.tgz', { body: BYTES });
      const reply = await harness.get('/app.tgz');
      expect([reply.status, await reply.text()]).toEqual([200, BYTES]);
    }
  });

  it('is fetched from another place that was named, also where upstreams are no mirrors of each other', async () => {
    const harness = await openOrdered('origins', 'http://127.0.0.1:1/app.tgz', '/two');
    harness.upstream.serve('/two', { body: BYTES });
    const reply = await harness.get('/app.tgz');
    expect([reply.status, await reply.text()]).toEqual([200, BYTES]);
  });

  it('is asked for once at each place, and last where it would be without the document', async () => {
    const elsewhere = await open('/one', '/two');
    expect((await elsewhere.get('/app.tgz')).status).toBe(404);
    expect(asked(elsewhere)).toEqual(['/one', '/two', '/own/app.tgz']);
    const here = await open('/one', '/own/app.tgz');
    expect((await here.get('/app.tgz')).status).toBe(404);
    expect(asked(here)).toEqual(['/one', '/own/app.tgz']);
  });

  it('is not taken from a place that has other bytes', async () => {
    const harness = await open('/one', '/two');
    harness.upstream.serve('/one', { status: 404, body: '' });
    harness.upstream.serve('/two', { body: 'other bytes' });
    expect((await harness.get('/app.tgz')).status).toBe(502);
  });
});
