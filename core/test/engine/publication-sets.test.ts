import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { artifactClass, documentClass, EntrepotError, type Production, type Resource } from '../../src/index.js';
import { openHarness, withClasses, type TestSide } from './harness.js';

const part =
  (name: string) =>
  (key: string): Resource => ({ class: name, key, path: key });
const parts = ['set/1.info', 'set/1.mod', 'set/1.zip'].map(part('set'));
const some = ['some/1.info', 'some/1.mod', 'some/1.zip'].map(part('some'));
const made = ['made/a', 'made/b'].map(part('made'));
const resources = [...parts, ...some, ...made, { class: 'page', key: 'made/document' }];

type Make = Production<unknown>['make'];

/** `/set/*` are one copy; `/made/*` come from `make`. */
function producing(make: Make): TestSide {
  const upstream = { produce: { make } };
  return withClasses(
    {
      set: artifactClass({ about: 'one of a set', trust: { publishedWith: { members: parts } } }),
      some: artifactClass({ about: 'one of a set', trust: { publishedWith: { members: some, partly: true } } }),
      made: artifactClass({ about: 'made here', upstream, trust: { publishedWith: { members: made } } }),
      page: documentClass({ about: 'a page made here', upstream }),
    },
    { route: ({ segments }) => resources.find(({ key }) => key === segments.join('/')) },
  );
}

const side = producing(async () => []);

describe('artifacts that belong together', () => {
  it('are published at once, of one fetch, for all who ask for any of them', async () => {
    const { upstream, get } = await openHarness({ side });
    for (const { key } of parts) upstream.serve(`/${key}`, { body: `first ${key}` });
    const answers = await Promise.all([...parts, ...parts].map(({ key }) => get(`/${key}`)));
    for (const [index, answer] of answers.entries()) expect(await answer.text()).toBe(`first ${parts[index % 3]?.key}`);
    for (const { key } of parts) expect(upstream.count(`/${key}`)).toBe(1);
  });

  it('are none of them kept when one is missing or broken', async () => {
    const { upstream, get, entries } = await openHarness({ side });
    upstream.serve('/set/1.info', { body: 'info' });
    upstream.serve('/set/1.mod', { body: 'mod' });
    expect((await get('/set/1.mod')).status).toBe(404);
    upstream.serve('/set/1.zip', { body: 'x'.repeat(200_000), fault: { kind: 'truncate', after: 100_000 } });
    expect((await get('/set/1.info')).status).toBe(502);
    for (const { key } of parts) expect(await entries.find('test', key)).toBeUndefined();
  });

  it('are kept as far as the upstream has them, where they may lack some', async () => {
    const { upstream, get, entries } = await openHarness({ side, artifact: { negativeFor: 0 } });
    upstream.serve('/some/1.mod', { body: 'mod' });
    const [mod, zip] = await Promise.all([get('/some/1.mod'), get('/some/1.zip')]);
    expect([mod.status, await mod.text(), zip.status]).toEqual([200, 'mod', 404]);
    upstream.serve('/some/1.zip', { body: 'zip' });
    expect(await (await get('/some/1.zip')).text()).toBe('zip');
    expect((await get('/some/1.info')).status).toBe(404);
    // A part that comes later comes with the same bytes of the others.
    upstream.serve('/some/1.mod', { body: 'another mod' });
    upstream.serve('/some/1.info', { body: 'info' });
    expect((await get('/some/1.info')).status).toBe(502);
    expect(await entries.find('test', 'some/1.info')).toBeUndefined();
    expect(await (await get('/some/1.mod')).text()).toBe('mod');
    upstream.serve('/some/1.mod', { body: 'mod', fault: { kind: 'reset-before-head' } });
    expect((await get('/some/1.info')).status).toBe(502);
  });

  it('are the copy of whichever replica was first', async () => {
    const harness = await openHarness({ side });
    const { upstream, blobs, entries } = harness;
    let copy = 0;
    for (const { key } of parts)
      upstream.handle(`/${key}`, (_request, response) => void response.end(`copy ${(copy += 1)}`));
    const other = await openHarness({
      side,
      definition: { upstreams: [{ url: upstream.url }] },
      shared: { blobs, entries },
    });
    const gets = Array.from({ length: 10 }, (_, index) =>
      (index % 2 === 0 ? harness : other).get(`/${parts[index % 3]?.key}`),
    );
    await Promise.all(gets.map(async (answer) => await (await answer).text()));
    for (const { key } of parts) {
      const texts = new Set([await (await harness.get(`/${key}`)).text(), await (await other.get(`/${key}`)).text()]);
      expect(texts.size).toBe(1);
    }
  });

  it('lack what another replica found lacking', async () => {
    const leader = await openHarness({ side });
    const { upstream, blobs, entries } = leader;
    const ended = Promise.withResolvers<object>();
    const follower = await openHarness({
      side,
      definition: { upstreams: [{ url: upstream.url }] },
      shared: { blobs, entries },
      cluster: {
        enter: async () => ({ role: 'follower', ended: ended.promise, open: async () => undefined, leave: () => {} }),
      },
    });
    for (const key of ['some/1.info', 'some/1.mod']) upstream.serve(`/${key}`, { body: key });
    // The second one joins the fetch for the first one.
    const coming = ['/some/1.info', '/some/1.zip'].map((path) => follower.get(path));
    expect((await leader.get('/some/1.mod')).status).toBe(200);
    ended.resolve({});
    const [found, lacking] = await Promise.all(coming);
    expect([found?.status, lacking?.status]).toEqual([200, 404]);
    expect(upstream.count('/some/1.zip')).toBe(1);
  });

  it('are the copy of whichever replica was first, where the upstream may lack some', async () => {
    const harness = await openHarness({ side });
    const { upstream, blobs, entries } = harness;
    const other = await openHarness({
      side,
      definition: { upstreams: [{ url: upstream.url }] },
      shared: { blobs, entries },
    });
    const asked = Promise.withResolvers<void>();
    const published = Promise.withResolvers<void>();
    let copy = 0;
    for (const { key } of some)
      upstream.handle(`/${key}`, async (_request, response) => {
        const text = `copy ${(copy += 1)}`;
        if (key === 'some/1.zip' && upstream.count(`/${key}`) === 1) {
          asked.resolve();
          await published.promise;
        }
        response.end(text);
      });
    const late = harness.get('/some/1.info');
    await asked.promise;
    const first = await other.get('/some/1.info');
    published.resolve();
    const found = await late;
    expect([found.status, await found.text()]).toEqual([first.status, await first.text()]);
    expect(first.status).toBe(200);
    for (const { key } of some)
      expect(await (await harness.get(`/${key}`)).text()).toBe(await (await other.get(`/${key}`)).text());
  });
});

describe('what the protocol produces', () => {
  const files = async (folder: string, ...names: string[]) =>
    await Promise.all(
      names.map(async (name) => {
        await writeFile(join(folder, name), `made ${name}`);
        return { key: `made/${name}`, path: join(folder, name), mediaType: 'text/plain' };
      }),
    );

  it('is made once, kept, and served with all that other artifacts have', async () => {
    let calls = 0;
    const { get, ask, upstream } = await openHarness({
      side: producing(async (_resource, { folder }) => {
        calls += 1;
        return await files(folder, 'a', 'b');
      }),
    });
    const answers = await Promise.all(['a', 'b', 'a'].map((name) => get(`/made/${name}`)));
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(['made a', 'made b', 'made a']);
    expect((await ask('HEAD', '/made/b')).headers).toMatchObject({ 'X-Cache': 'HIT', 'Content-Length': '6' });
    expect(await (await get('/made/a', { range: 'bytes=0-3' })).text()).toBe('made');
    expect([calls, upstream.requests.length]).toEqual([1, 0]);
  });

  it('is made anew for a document that is no longer fresh, and stands in when that fails', async () => {
    let calls = 0;
    const { get, clock } = await openHarness({
      document: { freshFor: 1000 },
      side: producing(async (_resource, { folder }) => {
        calls += 1;
        if (calls === 3) throw new EntrepotError('upstream-unavailable', 'the repository cannot be reached');
        await writeFile(join(folder, 'x'), `version ${calls}`);
        return [{ key: 'made/document', path: join(folder, 'x'), mediaType: 'text/plain' }];
      }),
    });
    const texts: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      texts.push(await (await get('/made/document')).text());
      clock.advance(2000);
    }
    expect(texts).toEqual(['version 1', 'version 2', 'version 2']);
  });

  it('is refused when it is no file of its folder, or not there', async () => {
    const { get, entries } = await openHarness({
      side: producing(async (_resource, { folder }) => {
        const [a] = await files(folder, 'a');
        await symlink('/etc/hostname', join(folder, 'b'));
        return [a as never, { key: 'made/b', path: join(folder, 'b'), mediaType: 'text/plain' }];
      }),
    });
    expect((await get('/made/a')).status).toBe(500);
    expect(await entries.find('test', 'made/a')).toBeUndefined();
    const none = await openHarness({ side: producing(async () => []) });
    expect((await none.get('/made/a')).status).toBe(500);
    const missing = await openHarness({
      side: producing(() => Promise.reject(new EntrepotError('not-found', 'no such tag'))),
    });
    expect((await missing.get('/made/a')).status).toBe(404);
  });
});
