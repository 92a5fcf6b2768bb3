import { describe, expect, it } from 'vitest';
import type { Pin } from '../../src/drivers/sql/pin-store.js';
import { openServer, openUpstream } from './space-support.js';

async function start() {
  const upstream = await openUpstream();
  const server = await openServer(
    `  npm: { type: npm, upstream: "${upstream.fake.url}", cache: { packument: { freshFor: 1h } } }`,
  );
  upstream.putPackage('tool', ['1.0.0']);
  const pins = async () => (await server.api<{ readonly pins: readonly Pin[] }>('GET', '/pins')).json.pins;
  return { ...server, pins };
}

describe('pins by the API', () => {
  it('keep what they name from being purged, until they are removed', async () => {
    const { api, get, pins, logged } = await start();
    await get('/npm/tool');
    const form = { subject: '/npm/tool', note: 'needed offline', by: 'ann' };
    const made = await api<Pin>('POST', '/pins', form);
    expect([made.status, made.json]).toEqual([
      201,
      {
        id: expect.any(String),
        subject: 'npm/packument/tool',
        note: 'needed offline',
        madeBy: 'ann',
        madeAt: expect.any(Number),
      },
    ]);
    expect(await pins()).toEqual([made.json]);
    expect((await api('POST', '/purge', { subject: 'npm/**' })).json).toMatchObject({
      entries: 0,
      kept: [{ why: 'pinned', count: 1 }],
    });
    expect((await get('/npm/tool')).cache).toBe('HIT');
    const { id } = made.json;
    expect(await api('DELETE', `/pins/${id}?dryRun=true`)).toMatchObject({ status: 200, json: made.json });
    expect(await pins()).toEqual([made.json]);
    expect(await api('DELETE', `/pins/${id}`)).toMatchObject({ status: 200, json: made.json });
    expect(await pins()).toEqual([]);
    expect((await api('POST', '/purge', { subject: 'npm/**' })).json).toMatchObject({ entries: 1, kept: [] });
    expect(logged('pinned')).toEqual([{ by: 'ann', subject: 'npm/packument/tool', id }]);
    expect(logged('unpinned')).toEqual([{ by: undefined, subject: 'npm/packument/tool', id }]);
  });

  it('are made once for a subject, and not at all in a dry run', async () => {
    const { api, pins } = await start();
    expect(await api('POST', '/pins', { subject: 'pkg:npm/tool@1.0.0', dryRun: true })).toMatchObject({
      status: 200,
      json: { subject: 'pkg:npm/tool@1.0.0' },
    });
    expect(await pins()).toEqual([]);
    const { json } = await api('POST', '/pins', { subject: 'npm/packument/tool' });
    expect(await api('POST', '/pins', { subject: '/npm/tool' })).toMatchObject({ status: 200, json });
    expect(await pins()).toHaveLength(1);
  });

  it('are a thousand at the most', async () => {
    const { api, pins } = await start();
    for (let number = 0; number < 1000; number += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, at) => api('POST', '/pins', { subject: `npm/a/${number + at}` })),
      );
    expect(await pins()).toHaveLength(1000);
    const { status, text } = await api('POST', '/pins', { subject: 'npm/one/more' });
    expect([status, text]).toEqual([409, expect.stringContaining('there are 1000 pins, and at most 1000 may be')]);
    expect(await pins()).toHaveLength(1000);
  });

  it.each([
    ['POST', '/pins', {}, 400, 'subject: '],
    ['POST', '/pins', { subject: 'npm' }, 400, 'expected a package URL'],
    ['POST', '/pins', { subject: 'nmp/**' }, 400, 'did you mean npm?'],
    ['POST', '/pins', { subject: '/npm/-/v1/search' }, 404, 'nothing is stored'],
    ['POST', '/pins', { subject: 'npm/**', note: '' }, 400, 'note: '],
    ['POST', '/pins', { subject: 'npm/**', id: 'mine' }, 400, 'id'],
    ['DELETE', '/pins/none', undefined, 404, 'There is no such pin; expected the id of one of pins'],
  ])('refuse %s %s %j', async (method, path, form, status, message) => {
    const { api } = await start();
    const answer = await api(method, path, form);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(message)]);
  });
});
