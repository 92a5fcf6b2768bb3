import { describe, expect, it } from 'vitest';
import { aliasClass, artifactClass, type Entry, type KeptListing, type KeptPage } from '../../src/index.js';
import { digestOf, FixedPolicy } from '../../src/testing/index.js';
import { openHarness, withClasses } from './harness.js';

const MINUTE = 60_000;

/** Lists what is kept by the listing in the query. */
const side = withClasses(
  {
    list: aliasClass({
      about: 'what is kept',
      async resolve({ attributes }, context) {
        return { status: 200, body: JSON.stringify(await context.kept(attributes?.['listing'] as KeptListing)) };
      },
    }),
    bytes: artifactClass({ about: 'bytes' }),
  },
  {
    route: ({ query }) => ({
      class: 'list',
      key: 'list',
      attributes: { listing: JSON.parse(query.get('listing') ?? '') as object },
    }),
  },
);

const entryOf = (key: string, fetchedAt: number, version?: string): Entry => ({
  repository: 'test',
  key,
  digest: digestOf(key),
  size: key.length,
  mediaType: 'text/plain',
  headers: {},
  fetchedAt,
  checkedAt: fetchedAt,
  integrity: [],
  ...(version !== undefined && { coordinates: { ecosystem: 'test', name: 'a', version } }),
});

async function open(policy?: FixedPolicy) {
  const { get, entries, clock } = await openHarness({ side, ...(policy && { policy }) });
  const listed = async (listing: Partial<KeptListing> = {}): Promise<KeptPage> => {
    const all = { since: 0, suffix: '.zip', limit: 1000, ...listing };
    const reply = await get(`/?listing=${encodeURIComponent(JSON.stringify(all))}`);
    return JSON.parse(await reply.text()) as KeptPage;
  };
  return { entries, clock, listed };
}

const versionsOf = ({ versions }: KeptPage) => versions.map(({ coordinates }) => coordinates.version);

describe('what is kept, by time', () => {
  it('is versions whose keys end as they are wanted, with the time at which they were stored', async () => {
    const { entries, clock, listed } = await open();
    const stored = clock.now() - 2 * MINUTE;
    await entries.putIfAbsent([
      entryOf('a/2.zip', stored, '2'),
      entryOf('a/1.zip', stored + 1, '1'),
      entryOf('a/1.info', stored + 2, '1'),
      entryOf('list.zip', stored + 3),
      entryOf('a/3.zip', clock.now() - MINUTE, '3'),
      { ...entryOf('a/4.zip', stored, '4'), repository: 'other' },
    ]);
    expect(await listed()).toEqual({
      versions: ['2', '1'].map((version, at) => ({
        coordinates: { ecosystem: 'test', name: 'a', version },
        storedAt: stored + at,
      })),
    });
  });

  it('comes in pages that go on where the last one ended', async () => {
    const { entries, clock, listed } = await open(
      new FixedPolicy([
        { id: 'r', action: 'deny', reason: 'no', matches: ({ coordinates }) => coordinates.version === '7' },
      ]),
    );
    const stored = clock.now() - 2 * MINUTE;
    const versions = Array.from({ length: 600 }, (_, n) => `${n}`);
    await entries.putIfAbsent(
      versions.flatMap((one) => [entryOf(`${one}.zip`, stored, one), entryOf(`${one}.mod`, stored, one)]),
    );
    const seen: (string | undefined)[] = [];
    for (let next: KeptPage['next'] = { since: 0 }; next !== undefined;) {
      const page: KeptPage = await listed({ ...next, limit: 70 });
      expect(page.versions.length).toBeLessThanOrEqual(70);
      seen.push(...versionsOf(page));
      next = page.next;
    }
    expect(seen.toSorted()).toEqual(versions.filter((one) => one !== '7').toSorted());
  });

  it('is looked for among so many entries, and further on in the next page', async () => {
    const { entries, clock, listed } = await open();
    const stored = clock.now() - 10 * MINUTE;
    const others = Array.from({ length: 20_000 }, (_, n) => entryOf(`${n}.mod`, stored + n, `${n}`));
    await entries.putIfAbsent([...others, entryOf('last.zip', stored + 20_000, 'last')]);
    const first = await listed();
    expect(first).toEqual({ versions: [], next: { since: stored + 19_999, after: '19999.mod' } });
    expect(versionsOf(await listed(first.next))).toEqual(['last']);
  });
});
