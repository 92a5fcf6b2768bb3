import { describe, expect, it } from 'vitest';
import {
  allowAll,
  documentClass,
  listingClass,
  type ContentFinding,
  type Entry,
  type HotCache,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
  type RenderRequest,
  type ScanDesk,
} from '../../src/index.js';
import { ManualClock, MemoryBlobStore, MemoryEntryIndex, MemoryHotCache } from '../../src/testing/index.js';
import { openHarness, withClasses, type Harness, type HarnessOptions, type TestSide } from './harness.js';

const LINES = 'one\ntwo\nthree\n';
const coordinatesOf = (version: string) => ({ ecosystem: 'test', name: 'page', version });

/** A cache that other processes have, too. */
class SharedMemory extends MemoryHotCache {
  readonly shared: HotCache = this;
}

/** A format with a document that lists lines which policy admits, and how often it was rendered. */
class Rendering {
  count = 0;
  readonly side: TestSide = withClasses({
    text: documentClass({
      about: 'the lines of a page that are allowed',
      reply: {
        mediaType: 'text/plain',
        render: async (_document: unknown, { content, admits, baseUrl }: RenderRequest) => {
          this.count += 1;
          const lines = Buffer.from(await content.bytes(10_000))
            .toString()
            .split('\n')
            .filter(Boolean);
          const shown = lines.filter((line) => admits(coordinatesOf(line)));
          return { bytes: [[...shown, baseUrl].join('\n')], headers: { 'X-Lines': String(shown.length) } };
        },
      },
    }),
    list: listingClass({
      about: 'a list of entries',
      reply: { mediaType: 'text/plain' },
      entries: ({ key }) => ({ prefix: key.slice('list/'.length) }),
      render: async (_resource: unknown, entries: AsyncIterable<Entry>) => {
        this.count += 1;
        const keys = (await Array.fromAsync(entries)).map(({ key }) => key);
        return { bytes: [keys.join('\n')] };
      },
    }),
  });
}

/** Denies what `denies` says, under the revision that it has. */
function policyOf(revision: string, decide: (input: PolicyInput) => Partial<PolicyDecision>): PolicyEngine {
  return {
    ...allowAll,
    revision: () => revision,
    evaluate: (input) => ({ action: 'allow', rules: [], ...decide(input) }),
    enforces: () => true,
  };
}

/** Opens a server and another one beside it, over one store and one cache. Each counts what it renders. */
async function openTwo(first: HarnessOptions = {}, second: HarnessOptions = first) {
  const shared = { blobs: new MemoryBlobStore(), entries: new MemoryEntryIndex() };
  const hotCache = new SharedMemory(new ManualClock());
  const renderings = [new Rendering(), new Rendering()] as const;
  const open = (at: 0 | 1, options: HarnessOptions): Promise<Harness> =>
    openHarness({ document: { freshFor: 86_400_000 }, hotCache, side: renderings[at].side, shared, ...options });
  const [warm, cold] = [await open(0, first), await open(1, second)];
  warm.upstream.serve('/text/page', { body: LINES, headers: { 'content-type': 'text/plain' } });
  cold.upstream.serve('/text/page', { body: LINES, headers: { 'content-type': 'text/plain' } });
  return { warm, cold, hotCache, counts: () => renderings.map(({ count }) => count) };
}

async function pageOf({ get, landed }: Harness) {
  const answer = await get('/text/page');
  const text = await answer.text();
  await landed();
  const { ETag: etag, 'X-Lines': lines, 'Content-Type': type } = answer.headers;
  return { status: answer.status, lines: text.split('\n').slice(0, -1), etag, type, count: lines };
}

describe('a rewritten document', () => {
  it('is taken from another server that has made it, as it is there', async () => {
    const { warm, cold, counts } = await openTwo();
    const made = await pageOf(warm);
    expect(made).toMatchObject({ status: 200, lines: ['one', 'two', 'three'], count: '3' });
    expect(await pageOf(cold)).toEqual(made);
    expect(await pageOf(cold)).toEqual(made);
    expect(counts()).toEqual([1, 0]);
  });

  it('is made anew where policy is another one', async () => {
    const denying = policyOf('denies two', ({ coordinates }) =>
      coordinates.version === 'two' ? { action: 'deny' } : {},
    );
    const { warm, cold, counts } = await openTwo({}, { policy: denying });
    expect((await pageOf(warm)).lines).toEqual(['one', 'two', 'three']);
    expect((await pageOf(cold)).lines).toEqual(['one', 'three']);
    expect(counts()).toEqual([1, 1]);
  });

  it('is made anew where findings are others', async () => {
    const deskOf = (found: readonly string[]): ScanDesk =>
      ({
        mark: () => 0,
        peek: () => undefined,
        contents: async () =>
          found.map((version): ContentFinding => ({
            coordinates: coordinatesOf(version),
            key: version,
            digest: `sha256:${'0'.repeat(64)}`,
            size: 1,
            storedAt: 0,
            answer: { reports: [], failures: [] },
          })),
      }) as unknown as ScanDesk;
    const policy = policyOf('denies what is found', ({ stage }) => (stage === 'content' ? { action: 'deny' } : {}));
    const { warm, cold, counts } = await openTwo(
      { policy, scanDesk: deskOf([]) },
      { policy, scanDesk: deskOf(['one']) },
    );
    expect((await pageOf(warm)).lines).toEqual(['one', 'two', 'three']);
    expect((await pageOf(cold)).lines).toEqual(['two', 'three']);
    expect(counts()).toEqual([1, 1]);
  });

  it('is made anew where it counts from what each server has seen', async () => {
    const policy = policyOf('new ones wait', ({ firstSeenAt }) =>
      firstSeenAt === undefined || Number(firstSeenAt) > 0 ? { action: 'hold' } : {},
    );
    const { warm, cold, counts } = await openTwo({ policy, firstSeen: () => 0 }, { policy, firstSeen: () => 1 });
    expect((await pageOf(warm)).lines).toEqual(['one', 'two', 'three']);
    expect((await pageOf(cold)).lines).toEqual([]);
    expect(counts()).toEqual([1, 1]);
  });

  it('is made anew when time has changed what policy says of it', async () => {
    const start = new ManualClock().now();
    const policy = policyOf('until then', ({ now }) =>
      now < start + 60_000 ? { action: 'hold', nextChangeAt: start + 60_000 } : {},
    );
    const { warm, cold, counts } = await openTwo({ policy });
    expect((await pageOf(warm)).lines).toEqual([]);
    cold.clock.advance(60_000);
    expect((await pageOf(cold)).lines).toEqual(['one', 'two', 'three']);
    expect(counts()).toEqual([1, 1]);
  });

  it.each([
    ['another configuration', { definition: { sameAs: 'others' } }],
    ['another name', { definition: { name: 'others' } }],
  ])('is made anew by a repository of %s', async (_what, second) => {
    const { warm, cold, counts } = await openTwo({}, second);
    expect(await pageOf(cold)).toMatchObject({ lines: ['one', 'two', 'three'] });
    expect(await pageOf(warm)).toMatchObject({ lines: ['one', 'two', 'three'] });
    expect(counts()).toEqual([1, 1]);
  });

  it.each(['', 'text', '{}\n', 'null\nYQ==', '{"etag":1}\nYQ==', '{"etag":"\\"a\\"","changesAt":"1"}\nYQ=='])(
    'is made anew where %j is found in its place',
    async (foreign) => {
      const { warm, cold, hotCache, counts } = await openTwo();
      const made = await pageOf(warm);
      const get = hotCache.get.bind(hotCache);
      hotCache.get = async (key) => (key.startsWith('document:') ? foreign : await get(key));
      expect(await pageOf(cold)).toEqual(made);
      expect(counts()).toEqual([1, 1]);
    },
  );

  it('is shared for ten minutes at the most', async () => {
    const { warm, hotCache } = await openTwo();
    const kept: [string, number][] = [];
    hotCache.set = async (key, _value, ttl) => void kept.push([key, ttl]);
    await pageOf(warm);
    expect(kept).toEqual([[expect.stringMatching(/^document:[\w-]{43}$/), 600_000]]);
  });
});

describe('a list of a hosted repository', () => {
  it('is taken from another server for one revision of the repository', async () => {
    const { warm, cold, counts } = await openTwo({ kind: 'hosted' });
    await warm.ask('PUT', '/files/a', {}, 'a');
    const list = async ({ get }: Harness) => await (await get('/list/files/')).text();
    expect([await list(warm), await list(cold)]).toEqual(['files/a', 'files/a']);
    expect(counts()).toEqual([1, 0]);
    await warm.ask('PUT', '/files/b', {}, 'b');
    cold.clock.advance(1_000);
    expect([await list(cold), await list(warm)]).toEqual(['files/a\nfiles/b', 'files/a\nfiles/b']);
    expect(counts()).toEqual([1, 1]);
  });
});

describe('what upstreams lack', () => {
  it('is known to the other server, and not to one of another configuration', async () => {
    const artifact = { negativeFor: 60_000, negativeIfError: 0 };
    const { warm, cold } = await openTwo({ artifact });
    expect((await warm.get('/files/none')).status).toBe(404);
    expect((await cold.get('/files/none')).status).toBe(404);
    expect([warm.upstream.requests.length, cold.upstream.requests.length]).toEqual([1, 0]);
    const others = await openTwo({ artifact }, { artifact, definition: { sameAs: 'others' } });
    for (const server of [others.warm, others.cold]) expect((await server.get('/files/none')).status).toBe(404);
    expect(others.cold.upstream.requests.length).toBe(1);
  });
});
