import { describe, expect, it } from 'vitest';
import { artifactClass, documentClass, type Content, type Resource } from '../../src/index.js';
import type { Forgotten } from '../../src/engine/index.js';
import { Gate } from '../../src/testing/index.js';
import { openHarness, parsedOf, testSide, withClasses, type Harness } from './harness.js';

const MINUTE = 60_000;

const at = (rawPath: string) => ({ rawPath, rawQuery: '' });

describe('the keys at a path', () => {
  const members = ['set/1.info', 'set/1.zip'].map((key): Resource => ({ class: 'set', key, path: key }));
  const list = (key: string): Resource => ({ class: 'forms', key, path: key });
  const side = withClasses(
    {
      set: artifactClass({ about: 'one of a set', trust: { publishedWith: { members } } }),
      forms: documentClass({
        about: 'a list in one of two forms',
        cache: { alternative: ({ key }) => (key === 'list/new' ? list('list/old') : undefined) },
      }),
    },
    {
      route(head) {
        const path = head.segments.join('/');
        if (path === 'Page') return { status: 301, headers: { Location: 'raw/page' } };
        if (path === 'elsewhere') return { status: 302, headers: { Location: 'https://www.example.com/raw/page' } };
        if (path === 'circle') return { status: 302, headers: { Location: 'circle' } };
        if (path === 'list') return list('list/new');
        return members.find(({ key }) => key === path) ?? testSide.route(head);
      },
    },
  );

  it.each([
    ['of a file', '/files/a', ['files/a']],
    ['of all that is published with it', '/set/1.zip', ['set/1.info', 'set/1.zip']],
    ['of all forms of a document', '/list', ['list/new', 'list/old']],
    ['behind a redirect within the repository', '/Page', ['raw/page']],
    ['of what is asked for each time: none', '/search', []],
    ['of a reply that the repository makes: none', '/ping', []],
    ['behind a redirect to elsewhere: none', '/elsewhere', []],
    ['behind a redirect that leads nowhere: none', '/circle', []],
  ])('are those %s', async (_what, path, keys) => {
    const { repository } = await openHarness({ side });
    expect(await repository.keysAt(at(path))).toEqual({ repository: 'test', keys });
  });

  it('are refused as a request would be', async () => {
    const { repository } = await openHarness({ side });
    await expect(repository.keysAt(at('/nothing'))).rejects.toThrow('Nothing is served under this path');
    await expect(repository.keysAt(at('/files/../a'))).rejects.toThrow('The path holds a ".." segment');
  });
});

const only = (key: string): Forgotten => ({ keys: [key], takes: (resource) => resource.key === key });

/** Removes the entry of a key, as a purge does. */
async function purge({ repository, storage, entries }: Harness, key: string): Promise<void> {
  await repository.forget(only(key));
  await entries.remove('test', key);
  storage.entries.forget('test', key);
}

describe('what is forgotten', () => {
  it.each([
    ['of one key', only('files/a')],
    ['of all', undefined],
  ])('is what the upstream lacked: %s', async (_what, what) => {
    const { get, upstream, repository } = await openHarness({ artifact: { negativeFor: MINUTE } });
    expect((await get('/files/a')).status).toBe(404);
    upstream.serve('/files/a', { body: 'a' });
    expect((await get('/files/a')).status).toBe(404);
    await repository.forget(only('files/b'));
    expect((await get('/files/a')).status).toBe(404);
    await repository.forget(what);
    expect(await (await get('/files/a')).text()).toBe('a');
  });

  it('is a reply that is shared for a while, with all of a repository', async () => {
    const { ask, upstream, repository } = await openHarness();
    const says = (text: string): void => upstream.handle('/audit', (_request, response) => void response.end(text));
    says('one');
    const audit = async (): Promise<string> => (await ask('POST', '/audit', {}, 'abc')).text();
    expect(await audit()).toBe('adapted one');
    says('two');
    expect(await audit()).toBe('adapted one');
    await repository.forget();
    expect(await audit()).toBe('adapted two');
  });

  it('is what a brief document said', async () => {
    const lines = async (content: Content) => parsedOf(new Map([[String(await content.bytes(99)), { integrity: [] }]]));
    const side = withClasses({
      brief: documentClass({ about: 'one version', parse: lines }),
      index: documentClass({ about: 'all versions', parse: lines }),
      file: artifactClass({
        about: 'a version',
        trust: {
          describedBy: () => ({ class: 'index', key: 'index', path: 'index' }),
          describedBrieflyBy: () => ({ class: 'brief', key: 'brief', path: 'brief' }),
        },
      }),
    });
    const harness = await openHarness({ side });
    const { get, upstream, landed } = harness;
    upstream.serve('/brief', { body: 'files/a' });
    upstream.serve('/files/a', { body: 'a' });
    for (const times of [1, 2]) {
      expect((await get('/files/a')).status).toBe(200);
      await landed();
      await purge(harness, 'files/a');
      expect(upstream.count('/brief')).toBe(times);
    }
  });
});

describe('a fetch that runs while its key is purged', () => {
  it('serves whoever waits for it, is not kept, and is joined by nobody else', async () => {
    const harness = await openHarness({ document: { freshFor: MINUTE } });
    const { get, upstream, entries, landed } = harness;
    const gate = new Gate();
    upstream.handle('/raw/a', async (_request, response) => {
      await gate.pass();
      response.end('before');
    });
    const first = get('/raw/a');
    await gate.reached;
    await purge(harness, 'raw/a');
    upstream.serve('/raw/a', { body: 'after' });
    const second = await get('/raw/a');
    expect(await second.text()).toBe('after');
    gate.open();
    expect(await (await first).text()).toBe('before');
    await landed();
    const entry = await entries.find('test', 'raw/a');
    expect(entry?.size).toBe('after'.length);
    expect(await (await get('/raw/a')).text()).toBe('after');
  });

  it('is not kept where it is of a document and everything is forgotten; an artifact is', async () => {
    const { get, upstream, repository, entries, landed } = await openHarness();
    const answers = ['/raw/a', '/files/a'].map((path) => {
      upstream.serve(path, { body: path });
      return { path, gate: upstream.hold(path), answer: get(path) };
    });
    for (const { gate } of answers) await gate.reached;
    await repository.forget();
    for (const { path, gate, answer } of answers) {
      gate.open();
      expect(await (await answer).text()).toBe(path);
    }
    await landed();
    expect(await entries.find('test', 'raw/a')).toBeUndefined();
    expect(await entries.find('test', 'files/a')).toBeDefined();
  });

  it('is left alone where it is for something else', async () => {
    const { get, upstream, repository, entries, landed } = await openHarness();
    const gate = upstream.hold('/files/a');
    upstream.serve('/files/a', { body: 'a' });
    const answer = get('/files/a');
    await gate.reached;
    const tool = { takes: ({ coordinates }: Parameters<Forgotten['takes']>[0]) => coordinates?.name === 'b' };
    await repository.forget(tool);
    gate.open();
    expect(await (await answer).text()).toBe('a');
    await landed();
    expect(await entries.find('test', 'files/a')).toBeDefined();
  });

  it('and finds that nothing has changed serves the bytes all the same', async () => {
    const harness = await openHarness({ document: { freshFor: 1 } });
    const { get, upstream, clock, entries, landed, blobs } = harness;
    upstream.serve('/raw/a', { body: 'text', headers: { etag: '"1"' } });
    await get('/raw/a');
    await landed();
    clock.advance(MINUTE);
    const gate = new Gate();
    upstream.handle('/raw/a', async (request, response) => {
      await gate.pass();
      const isKnown = request.headers['if-none-match'] === '"1"';
      response.writeHead(isKnown ? 304 : 200, { etag: '"1"' }).end(isKnown ? undefined : 'text');
    });
    const answer = get('/raw/a');
    await gate.reached;
    const { digest } = (await entries.find('test', 'raw/a'))!;
    await purge(harness, 'raw/a');
    await blobs.delete(digest);
    harness.storage.blobs.forget(digest);
    gate.open();
    expect(await (await answer).text()).toBe('text');
  });
});
