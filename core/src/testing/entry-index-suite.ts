import assert from 'node:assert/strict';
import type { Digest } from '../api/digest.js';
import type { Entry, EntryIndex, StoredListing } from '../api/entry-index.js';
import { digestOf } from './sample-bytes.js';
import { assertFails, type Checks, defineChecks, type DriverFixture, openDriver, type SuiteRunner } from './suite.js';

/** An empty index, for one check. */
export interface EntryIndexFixture extends DriverFixture<EntryIndex> {
  /** The suite disposes of it. */
  readonly index: EntryIndex;
}

/** Optional features of a driver. Each is off by default. */
export interface EntryIndexCapabilities {
  readonly replicas?: boolean;
  readonly outage?: boolean;
}

type OpenFixture = Required<EntryIndexFixture>;

type EntryFields = Partial<Entry> & Pick<Entry, 'key'>;

const T0 = Date.UTC(2026, 0, 1);

/** Checks the contract of `EntryIndex`. `factory` gives a new, empty index for each check. */
export function entryIndexSuite(
  runner: SuiteRunner,
  factory: () => Promise<EntryIndexFixture> | EntryIndexFixture,
  capabilities: EntryIndexCapabilities = {},
): void {
  defineChecks(
    runner,
    'entry index',
    () => openFixture(factory),
    (fixture) => fixture.close(),
    (checks) => {
      defineFinding(checks);
      definePutIfAbsent(checks);
      defineReplace(checks);
      defineTouch(checks);
      defineRemove(checks);
      defineChange(checks);
      defineList(checks);
      defineListStored(checks);
      defineReferenced(checks);
      defineAccess(checks);
      defineCapabilities(checks, capabilities);
    },
  );
}

function defineFinding({ check }: Checks<OpenFixture>): void {
  check('answers undefined for what is not there', async ({ index }) => {
    assert.equal(await index.find('npm', 'a'), undefined);
    assert.equal(await index.remove('npm', 'a'), false);
    assert.equal(await index.touch('npm', 'a', digestOf('a'), { checkedAt: T0 }), false);
    assert.deepEqual(await index.list('npm', { prefix: '', limit: 10 }), []);
  });

  check('gives back every field', async ({ index }) => {
    await index.replace(FULL);
    assertSame(await index.find('npm', FULL.key), FULL);
  });

  check('gives back an entry without the optional fields', async ({ index }) => {
    const entry = makeEntry({ key: 'bare', size: 0 });
    await index.replace(entry);
    assertSame(await index.find('npm', 'bare'), entry);
  });

  check('keeps sizes and times beyond 32 bits', async ({ index }) => {
    const entry = makeEntry({ key: 'large', size: 2 ** 40 + 1, fetchedAt: 2 ** 45, checkedAt: 2 ** 45 + 1 });
    await index.replace(entry);
    assertSame(await index.find('npm', 'large'), entry);
  });

  check('keeps its own copy of an entry', async ({ index }) => {
    const headers: Record<string, string> = { 'x-a': '1' };
    await index.replace(makeEntry({ key: 'a', headers }));
    headers['x-a'] = '2';
    assert.deepEqual((await index.find('npm', 'a'))?.headers, { 'x-a': '1' });
  });

  check('tells keys apart to the last code point', async ({ index }) => {
    for (const key of KEYS) await index.replace(makeEntry({ key, digest: digestOf(key) }));
    for (const key of KEYS) {
      assert.equal((await index.find('npm', key))?.digest, digestOf(key), `the entry of ${JSON.stringify(key)}`);
    }
    assert.equal((await index.list('npm', { prefix: '', limit: 1000 })).length, KEYS.length);
  });

  check('keeps repositories apart', async ({ index }) => {
    // Any way of joining the two names makes one of these pairs equal.
    const pairs = [
      ['a', 'b/c'],
      ['a/b', 'c'],
      ['a', 'b:c'],
      ['a:b', 'c'],
      ['ab', 'c'],
      ['a', 'bc'],
      ['A', 'bc'],
    ] as const;
    for (const [repository, key] of pairs) {
      await index.putIfAbsent([makeEntry({ repository, key, digest: digestOf(`${repository} ${key}`) })]);
    }
    for (const [repository, key] of pairs) {
      const entry = await index.find(repository, key);
      assert.equal(entry?.digest, digestOf(`${repository} ${key}`), `${repository} ${key}`);
      assert.equal(entry?.repository, repository);
    }
    assert.deepEqual(await keysOf(index, 'a', ''), ['b/c', 'b:c', 'bc']);
    assert.equal(await index.remove('ab', 'c'), true);
    assert.ok((await index.find('a', 'bc')) !== undefined);
  });

  check('is ready', async ({ index }) => {
    await index.check();
    await index.check('read');
    assert.deepEqual(await index.list('npm', { prefix: '', limit: 10 }), [], 'check() must leave no entry behind');
  });
}

function definePutIfAbsent({ check }: Checks<OpenFixture>): void {
  check('putIfAbsent puts a new set and returns it in the given order', async ({ index }) => {
    const entries = ['c', 'a', 'b'].map((key) => makeEntry({ key, digest: digestOf(key) }));
    assertSame(await index.putIfAbsent(entries), entries);
    for (const entry of entries) assertSame(await index.find('npm', entry.key), entry);
  });

  check('putIfAbsent of nothing does nothing', async ({ index }) => {
    assert.deepEqual(await index.putIfAbsent([]), []);
  });

  check('putIfAbsent puts none of a set when one of its keys exists, and returns the winner', async ({ index }) => {
    const winner = makeEntry({ key: 'b', digest: digestOf('winner'), etag: '"winner"' });
    await index.putIfAbsent([winner]);
    const losers = ['a', 'b', 'c'].map((key) => makeEntry({ key, digest: digestOf('loser') }));
    assertSame(await index.putIfAbsent(losers), [winner]);
    assert.equal(await index.find('npm', 'a'), undefined);
    assert.equal(await index.find('npm', 'c'), undefined);
    assertSame(await index.find('npm', 'b'), winner);
  });

  check('putIfAbsent is not hindered by the same key in another repository', async ({ index }) => {
    const other = makeEntry({ repository: 'other', key: 'a', digest: digestOf('other') });
    await index.putIfAbsent([other]);
    const entry = makeEntry({ key: 'a', digest: digestOf('mine') });
    assertSame(await index.putIfAbsent([entry]), [entry]);
    assertSame(await index.find('other', 'a'), other);
  });

  check('putIfAbsent takes a large set', async ({ index }) => {
    const entries = Array.from({ length: 500 }, (_, n) => makeEntry({ key: `large/${n}`, digest: digestOf(`${n}`) }));
    assertSame(await index.putIfAbsent(entries), entries);
    const again = entries.map((entry) => ({ ...entry, digest: digestOf('again') }));
    assertSame(await index.putIfAbsent(again), entries);
  });

  check('putIfAbsent has one winner among callers that race', async ({ index }) => {
    await assertOneWinner(index, [index]);
  });

  check('putIfAbsent leaves no half of a set when overlapping sets race', async ({ index }) => {
    await assertWholeSets([index]);
  });

  check('gives each of many at once its own answer', async ({ index }) => {
    const kept = makeEntry({ key: 'crowd/kept', digest: digestOf('kept') });
    await index.putIfAbsent([kept]);
    const mine = (key: string): Entry => makeEntry({ key: `crowd/${key}`, digest: digestOf(`crowd ${key}`) });
    const alone = Array.from({ length: 40 }, (_, n) => mine(`${n}`));
    const pair = [mine('left'), mine('right')];
    const [pairOf, lost, ...each] = await Promise.all([
      index.putIfAbsent(pair),
      index.putIfAbsent([mine('none'), { ...kept, digest: digestOf('late') }]),
      ...alone.map((entry) => index.putIfAbsent([entry])),
      index.replace(mine('replaced')),
    ]);
    assertSame(pairOf, pair);
    assertSame(lost, [kept]);
    alone.forEach((entry, n) => assertSame(each[n], [entry]));
    assert.equal(await index.find('npm', 'crowd/none'), undefined);
    for (const entry of [kept, ...pair, ...alone, mine('replaced')])
      assertSame(await index.find('npm', entry.key), entry);
  });

  check('putIfAbsent puts again what was removed', async ({ index }) => {
    await index.putIfAbsent([makeEntry({ key: 'a', digest: digestOf('first') })]);
    await index.remove('npm', 'a');
    const entry = makeEntry({ key: 'a', digest: digestOf('second') });
    assertSame(await index.putIfAbsent([entry]), [entry]);
  });
}

function defineReplace({ check }: Checks<OpenFixture>): void {
  check('replace puts whatever was there', async ({ index }) => {
    await index.replace(FULL);
    // Nothing of the row before may shine through.
    const bare = makeEntry({ key: FULL.key, digest: digestOf('bare') });
    await index.replace(bare);
    assertSame(await index.find('npm', FULL.key), bare);
    await index.replace(FULL);
    assertSame(await index.find('npm', FULL.key), FULL);
    assert.equal((await index.list('npm', { prefix: '', limit: 10 })).length, 1);
  });
}

function defineTouch({ check }: Checks<OpenFixture>): void {
  check('touch renews what it names and leaves the rest', async ({ index }) => {
    const other = { ...FULL, key: 'other' };
    await index.putIfAbsent([FULL, other]);
    assert.equal(await index.touch('npm', FULL.key, FULL.digest, { checkedAt: T0 + 9 }), true);
    assertSame(await index.find('npm', FULL.key), { ...FULL, checkedAt: T0 + 9 });
    const renewal = {
      checkedAt: T0 + 10,
      etag: '"2"',
      lastModified: 'Fri, 02 Jan 2026 00:00:00 GMT',
      headers: { b: '2' },
      mediaType: 'application/other',
      facts: { deprecated: true },
      factsFrom: 'another document',
    };
    assert.equal(await index.touch('npm', FULL.key, FULL.digest, renewal), true);
    assertSame(await index.find('npm', FULL.key), { ...FULL, ...renewal });
    assert.equal(await index.touch('npm', FULL.key, FULL.digest, { checkedAt: T0 + 11, headers: {} }), true);
    assertSame(await index.find('npm', FULL.key), { ...FULL, ...renewal, checkedAt: T0 + 11, headers: {} });
    assertSame(await index.find('npm', 'other'), other);
  });

  check('touch does nothing to other bytes', async ({ index }) => {
    await index.replace(FULL);
    assert.equal(await index.touch('npm', FULL.key, digestOf('another'), { checkedAt: T0 + 9, etag: '"x"' }), false);
    assertSame(await index.find('npm', FULL.key), FULL);
  });

  check('touch makes no entry, and does nothing to another repository', async ({ index }) => {
    await index.replace(FULL);
    assert.equal(await index.touch('other', FULL.key, FULL.digest, { checkedAt: T0 + 9 }), false);
    assert.equal(await index.find('other', FULL.key), undefined);
    assertSame(await index.find('npm', FULL.key), FULL);
  });
}

function defineRemove({ check }: Checks<OpenFixture>): void {
  check('remove takes one entry, and says whether there was one', async ({ index }) => {
    for (const key of ['a', 'ab', 'b']) await index.replace(makeEntry({ key }));
    await index.replace(makeEntry({ repository: 'other', key: 'a' }));
    assert.equal(await index.remove('npm', 'a'), true);
    assert.equal(await index.remove('npm', 'a'), false);
    assert.deepEqual(await keysOf(index, 'npm', ''), ['ab', 'b']);
    assert.deepEqual(await keysOf(index, 'other', ''), ['a']);
  });

  check('remove with a digest spares other bytes', async ({ index }) => {
    await index.replace(makeEntry({ key: 'a', digest: digestOf('new') }));
    assert.equal(await index.remove('npm', 'a', digestOf('old')), false);
    assert.ok((await index.find('npm', 'a')) !== undefined);
    assert.equal(await index.remove('npm', 'a', digestOf('new')), true);
    assert.equal(await index.find('npm', 'a'), undefined);
  });
}

function defineChange({ check }: Checks<OpenFixture>): void {
  check('change puts and removes as one', async ({ index }) => {
    await index.replace(makeEntry({ key: 'old' }));
    await index.replace({ ...FULL, digest: digestOf('before') });
    const added = makeEntry({ key: 'new', digest: digestOf('new') });
    const change = { repository: 'npm', put: [FULL, added], remove: ['old', 'absent'] };
    const expect = [
      { key: 'old', digest: digestOf('') },
      { key: 'new', digest: undefined },
    ];
    assert.ok((await index.change({ ...change, expect })) !== undefined, 'expected it to be carried out');
    assertSame(await index.list('npm', { prefix: '', limit: 10 }), [FULL, added]);
  });

  check('change takes large sets', async ({ index }) => {
    const put = Array.from({ length: 1200 }, (_, n) => makeEntry({ key: `large/${n}` }));
    await index.change({ repository: 'npm', expect: [], put, remove: [] });
    const remove = put.map(({ key }) => key).filter((key) => key !== 'large/7');
    assert.equal((await keysOf(index, 'npm', 'large/')).length, 1200);
    await index.change({ repository: 'npm', expect: [], put: [], remove });
    assert.deepEqual(await keysOf(index, 'npm', ''), ['large/7']);
  });

  check('change does nothing when something is not as it expects', async ({ index }) => {
    const kept = makeEntry({ key: 'kept', digest: digestOf('kept') });
    await index.replace(kept);
    const right = { key: 'kept', digest: digestOf('kept') };
    const wrong = [
      { key: 'kept', digest: digestOf('other') },
      { key: 'kept' },
      { key: 'absent', digest: right.digest },
    ];
    for (const expectation of wrong) {
      for (const expect of [[expectation], [right, expectation], [expectation, right]]) {
        const change = { repository: 'npm', expect, put: [makeEntry({ key: 'new' })], remove: ['kept'] };
        assert.equal(await index.change(change), undefined, JSON.stringify(expect));
      }
    }
    assertSame(await index.list('npm', { prefix: '', limit: 10 }), [kept]);
    assert.equal(await index.revision('npm'), 0, 'what was not carried out made a revision');
  });

  check('change is made at the revision that it names, or not at all', async ({ index }) => {
    const kept = makeEntry({ key: 'kept' });
    const change = { repository: 'npm', expect: [], put: [makeEntry({ key: 'new' })], remove: ['kept'] };
    await index.change({ repository: 'npm', expect: [], put: [kept], remove: [] });
    await index.change({ repository: 'other', expect: [], put: [], remove: [] });
    for (const at of [0, 2]) assert.equal(await index.change({ ...change, at }), undefined, `at ${at}`);
    assertSame(await index.list('npm', { prefix: '', limit: 10 }), [kept]);
    assert.equal(await index.revision('npm'), 1, 'what was not carried out made a revision');
    assert.equal(await index.change({ ...change, at: 1 }), 2);
    assert.deepEqual(await keysOf(index, 'npm', ''), ['new']);
  });

  check('change makes revisions of its repository, one after the other', async ({ index }) => {
    const change = { expect: [], put: [], remove: [] };
    assert.equal(await index.revision('npm'), 0);
    assert.equal(await index.change({ repository: 'npm', ...change }), 1);
    assert.equal(await index.change({ repository: 'npm', ...change }), 2);
    assert.equal(await index.change({ repository: 'other', ...change }), 1);
    assert.equal(await index.revision('npm'), 2);
    assert.equal(await index.revision('other'), 1);
  });

  check('change does nothing to another repository', async ({ index }) => {
    const other = makeEntry({ repository: 'other', key: 'a', digest: digestOf('other') });
    await index.replace(other);
    const put = [makeEntry({ key: 'b' })];
    assert.equal(await index.change({ repository: 'npm', expect: [{ key: 'a' }], put, remove: ['a'] }), 1);
    assertSame(await index.find('other', 'a'), other);
    assert.deepEqual(await keysOf(index, 'npm', ''), ['b']);
  });

  check('change loses nothing among callers that race', async ({ index }) => {
    await assertNothingLost([index]);
  });
}

function defineList({ check }: Checks<OpenFixture>): void {
  check('list takes a prefix literally', async ({ index }) => {
    const keys = ['a%b', 'a_b', 'a*b', 'a?b', 'a[b]', 'a\\b', "a'b", 'axb', 'a', 'Axb', 'b'];
    for (const key of keys) await index.replace(makeEntry({ key }));
    for (const prefix of ['a%', 'a_', 'a*', 'a?', 'a[', 'a\\', "a'", 'A']) {
      assert.deepEqual(
        await keysOf(index, 'npm', prefix),
        keys.filter((key) => key.startsWith(prefix)),
        `prefix ${prefix}`,
      );
    }
    assert.deepEqual(await keysOf(index, 'npm', '%'), []);
    assert.deepEqual(await keysOf(index, 'npm', '_'), []);
    assert.equal((await keysOf(index, 'npm', '')).length, keys.length);
  });

  check('list tells an exact key from a longer one', async ({ index }) => {
    for (const key of ['tool', 'tool/1', 'tool/2', 'tools', 'too']) await index.replace(makeEntry({ key }));
    assert.deepEqual(await keysOf(index, 'npm', 'tool'), ['tool', 'tool/1', 'tool/2', 'tools']);
    assert.deepEqual(await keysOf(index, 'npm', 'tool/'), ['tool/1', 'tool/2']);
    assert.deepEqual(await keysOf(index, 'npm', 'tool/1/'), []);
  });

  check('list goes in code-point order', async ({ index }) => {
    // UTF-16 order and the collations of languages differ from this.
    const ordered = [
      '-',
      '0',
      '10',
      '9',
      'A',
      'Z',
      '_',
      'a',
      'a b',
      'a-',
      'a/',
      'aB',
      'ab',
      'z',
      'é',
      '中',
      '\uFFFD',
      '😀',
    ];
    for (const key of [...ordered].reverse()) await index.replace(makeEntry({ key }));
    assert.deepEqual(await keysOf(index, 'npm', ''), ordered);
  });

  check('list finds what lies at the end of a prefix', async ({ index }) => {
    const keys = ['é', 'é\uFFFD', 'é😀', 'é\u{10FFFF}', 'é\u{10FFFF}z'];
    for (const key of [...keys, 'e', 'ê']) await index.replace(makeEntry({ key }));
    assert.deepEqual(await keysOf(index, 'npm', 'é'), keys);
    assert.deepEqual(await keysOf(index, 'npm', 'é\u{10FFFF}'), keys.slice(3));
  });

  check('list pages by after', async ({ index }) => {
    const keys = Array.from({ length: 50 }, (_, n) => `page/${String(n).padStart(2, '0')}`);
    for (const key of keys) await index.replace(makeEntry({ key }));
    await index.replace(makeEntry({ key: 'pagf' }));
    const seen: string[] = [];
    for (let after: string | undefined; ; after = seen.at(-1)) {
      const page = await index.list('npm', { prefix: 'page/', after, limit: 7 });
      assert.ok(page.length <= 7, `expected 7 entries at the most, found ${page.length}`);
      if (page.length === 0) break;
      assert.ok(seen.length < 100, 'expected the pages to come to an end');
      seen.push(...page.map(({ key }) => key));
    }
    assert.deepEqual(seen, keys);
  });

  check('list starts after a key that need not exist', async ({ index }) => {
    for (const key of ['a', 'c', 'e']) await index.replace(makeEntry({ key }));
    const after = async (start: string): Promise<string[]> =>
      (await index.list('npm', { prefix: '', after: start, limit: 10 })).map(({ key }) => key);
    assert.deepEqual(await after('b'), ['c', 'e']);
    assert.deepEqual(await after('c'), ['e']);
    assert.deepEqual(await after(''), ['a', 'c', 'e']);
    assert.deepEqual(await after('z'), []);
  });

  check('list gives whole entries', async ({ index }) => {
    await index.replace(FULL);
    assertSame(await index.list('npm', { prefix: '', limit: 1 }), [FULL]);
  });
}

function defineListStored({ check }: Checks<OpenFixture>): void {
  const listed = async (index: EntryIndex, listing: Partial<StoredListing>): Promise<string[]> => {
    const all = { since: 0, before: Number.MAX_SAFE_INTEGER, limit: 1000 };
    return (await index.listStored('npm', { ...all, ...listing })).map(({ key }) => key);
  };
  const fill = async (index: EntryIndex, times: Readonly<Record<string, number>>): Promise<void> => {
    for (const [key, time] of Object.entries(times)) await index.replace(makeEntry({ key, fetchedAt: T0 + time }));
  };

  check('listStored goes by time, and by key in code-point order', async ({ index }) => {
    await fill(index, { '\u{1F600}': 1, '\uFFFD': 1, b: 2, a: 2, B: 2, z: 0, first: 10 });
    await index.replace(makeEntry({ repository: 'other', key: 'other', fetchedAt: T0 + 1 }));
    assert.deepEqual(await listed(index, {}), ['z', '\uFFFD', '\u{1F600}', 'B', 'a', 'b', 'first']);
  });

  check('listStored goes by when bytes were stored, whatever was confirmed or put since', async ({ index }) => {
    await fill(index, { a: 1, b: 2 });
    await index.touch('npm', 'a', digestOf(''), { checkedAt: T0 + 9 });
    assert.deepEqual(await listed(index, {}), ['a', 'b']);
    await fill(index, { a: 3 });
    assert.deepEqual(await listed(index, {}), ['b', 'a']);
  });

  check('listStored takes since with it, and before not', async ({ index }) => {
    await fill(index, { a: 1, b: 2, c: 3, d: 4 });
    assert.deepEqual(await listed(index, { since: T0 + 2 }), ['b', 'c', 'd']);
    assert.deepEqual(await listed(index, { since: T0 + 2, before: T0 + 4 }), ['b', 'c']);
    assert.deepEqual(await listed(index, { since: T0 + 2, after: 'b', before: T0 + 4 }), ['c']);
    assert.deepEqual(await listed(index, { since: T0 + 4, after: 'a', before: T0 + 4 }), []);
    assert.deepEqual(await listed(index, { since: T0 + 5 }), []);
  });

  check('listStored pages through entries of one time', async ({ index }) => {
    const times = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`k${n % 8}-${n}`, Math.floor(n / 13)]));
    await fill(index, times);
    const seen: Entry[] = [];
    for (let last: Entry | undefined; ; last = seen.at(-1)) {
      const place = last === undefined ? { since: 0 } : { since: last.fetchedAt, after: last.key };
      const page = await index.listStored('npm', { ...place, before: T0 + 100, limit: 7 });
      assert.ok(page.length <= 7, `expected 7 entries at the most, found ${page.length}`);
      if (page.length === 0) break;
      assert.ok(seen.length < 100, 'expected the pages to come to an end');
      seen.push(...page);
    }
    assert.deepEqual(seen.map(({ key }) => key).sort(), Object.keys(times).sort());
    const expected = [...seen].sort(
      (left, right) => left.fetchedAt - right.fetchedAt || (left.key < right.key ? -1 : 1),
    );
    assert.deepEqual(
      seen.map(({ key }) => key),
      expected.map(({ key }) => key),
    );
  });

  check('listStored gives whole entries', async ({ index }) => {
    await index.replace(FULL);
    assertSame(await index.listStored('npm', { since: 0, before: Number.MAX_SAFE_INTEGER, limit: 1 }), [FULL]);
  });
}

function defineReferenced({ check }: Checks<OpenFixture>): void {
  check('referenced names the digests that an entry of any repository points to', async ({ index }) => {
    const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')];
    await index.replace(makeEntry({ key: 'a', digest: a }));
    await index.replace(makeEntry({ repository: 'other', key: 'b', digest: b }));
    assert.deepEqual(await index.referenced([a, b, c]), new Set([a, b]));
    assert.deepEqual(await index.referenced([c]), new Set());
    assert.deepEqual(await index.referenced([]), new Set());
  });

  check('referenced goes on until the last entry is gone', async ({ index }) => {
    const digest = digestOf('shared');
    await index.replace(makeEntry({ key: 'a', digest }));
    await index.replace(makeEntry({ repository: 'other', key: 'a', digest }));
    await index.remove('npm', 'a');
    assert.deepEqual(await index.referenced([digest]), new Set([digest]));
    await index.replace(makeEntry({ repository: 'other', key: 'a', digest: digestOf('newer') }));
    assert.deepEqual(await index.referenced([digest]), new Set());
  });

  check('referenced takes many digests', async ({ index }) => {
    const digests = Array.from({ length: 3000 }, (_, n) => digestOf(`${n}`));
    await index.replace(makeEntry({ key: 'a', digest: digests[2999] as Digest }));
    assert.deepEqual(await index.referenced(digests), new Set([digests[2999]]));
  });
}

function defineAccess({ check }: Checks<OpenFixture>): void {
  check('recordAccess changes no entry and makes none', async ({ index }) => {
    await index.replace(FULL);
    await index.recordAccess([]);
    const unknown = Array.from({ length: 2000 }, (_, n) => ({ repository: 'npm', key: `unknown/${n}`, at: T0 }));
    await index.recordAccess([...unknown, { repository: 'npm', key: FULL.key, at: T0 + 99 }]);
    assertSame(await index.find('npm', FULL.key), FULL);
    assert.deepEqual(await keysOf(index, 'npm', ''), [FULL.key]);
  });

  check('recordAccess never goes back in time', async ({ index }) => {
    const lastOf = async (repository: string): Promise<number | undefined> =>
      (await index.lastAccess(repository, ['a'])).get('a');
    await index.replace(makeEntry({ key: 'a' }));
    await index.replace(makeEntry({ repository: 'other', key: 'a' }));
    await index.recordAccess([{ repository: 'npm', key: 'a', at: T0 + 5 }]);
    assert.equal(await lastOf('npm'), T0 + 5);
    await index.recordAccess([{ repository: 'npm', key: 'a', at: T0 + 3 }]);
    assert.equal(await lastOf('npm'), T0 + 5);
    const batch = [T0 + 6, T0 + 8, T0 + 7].map((at) => ({ repository: 'npm', key: 'a', at }));
    await index.recordAccess([{ repository: 'npm', key: 'unknown', at: T0 }, ...batch]);
    assert.equal(await lastOf('npm'), T0 + 8);
    assert.equal(await lastOf('other'), undefined);
  });

  check('lastAccess tells of those that were served', async ({ index }) => {
    const keys = Array.from({ length: 1200 }, (_, n) => `many/${n}`);
    await index.change({ repository: 'npm', expect: [], put: keys.map((key) => makeEntry({ key })), remove: [] });
    await index.recordAccess(
      keys.filter((_, n) => n % 2 === 0).map((key, n) => ({ repository: 'npm', key, at: T0 + n })),
    );
    const found = await index.lastAccess('npm', [...keys, 'absent']);
    assert.deepEqual(found, new Map(keys.filter((_, n) => n % 2 === 0).map((key, n) => [key, T0 + n])));
    assert.deepEqual(await index.lastAccess('npm', []), new Map());
    // Bytes that are replaced were served all the same; an entry that is new was not.
    await index.replace(makeEntry({ key: 'many/0', digest: digestOf('newer') }));
    assert.equal((await index.lastAccess('npm', ['many/0'])).get('many/0'), T0);
    await index.remove('npm', 'many/0');
    await index.replace(makeEntry({ key: 'many/0' }));
    assert.deepEqual(await index.lastAccess('npm', ['many/0']), new Map());
  });
}

function defineCapabilities(
  { checkIf }: Checks<OpenFixture>,
  { replicas = false, outage = false }: EntryIndexCapabilities,
): void {
  checkIf(replicas, 'replicas is off', 'shows every change to the other process', async ({ index, reopen }) => {
    const other = await reopen();
    await index.replace(FULL);
    assertSame(await other.find('npm', FULL.key), FULL);
    assert.equal(await other.touch('npm', FULL.key, FULL.digest, { checkedAt: T0 + 9 }), true);
    assertSame(await index.find('npm', FULL.key), { ...FULL, checkedAt: T0 + 9 });
    assert.equal(await other.remove('npm', FULL.key), true);
    assert.equal(await index.find('npm', FULL.key), undefined);
  });

  checkIf(replicas, 'replicas is off', 'putIfAbsent has one winner among processes', async ({ index, reopen }) => {
    const other = await reopen();
    await assertOneWinner(index, [index, other]);
    await assertWholeSets([index, other]);
  });

  checkIf(replicas, 'replicas is off', 'change loses nothing among processes', async ({ index, reopen }) => {
    await assertNothingLost([index, await reopen()]);
  });

  checkIf(outage, 'outage is off', 'calls an outage an error, never an absence', async ({ index, breakDown }) => {
    await index.replace(FULL);
    await breakDown();
    await assertFails(index.check(), 'storage', 'check()');
    await assertFails(index.check('read'), 'storage', "check('read')");
    await assertFails(index.find('npm', FULL.key), 'storage', 'find()');
    await assertFails(index.putIfAbsent([FULL]), 'storage', 'putIfAbsent()');
    await assertFails(index.replace(FULL), 'storage', 'replace()');
    const change = { repository: 'npm', expect: [], put: [FULL], remove: [] };
    await assertFails(index.change(change), 'storage', 'change()');
    await assertFails(index.revision('npm'), 'storage', 'revision()');
    await assertFails(index.touch('npm', FULL.key, FULL.digest, { checkedAt: T0 + 9 }), 'storage', 'touch()');
    await assertFails(index.remove('npm', FULL.key), 'storage', 'remove()');
    await assertFails(index.list('npm', { prefix: '', limit: 1 }), 'storage', 'list()');
    await assertFails(index.referenced([FULL.digest]), 'storage', 'referenced()');
    await assertFails(index.lastAccess('npm', [FULL.key]), 'storage', 'lastAccess()');
  });
}

const FULL: Entry = {
  repository: 'npm',
  key: '@scope/name/-/name-1.0.0.tgz',
  digest: digestOf('full'),
  size: 4,
  mediaType: 'application/json; charset=utf-8',
  headers: { 'content-disposition': 'attachment; filename="ä.tgz"', 'x-empty': '' },
  etag: 'W/"1"',
  lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT',
  upstreamUrl: 'https://registry.example.com/@scope%2fname?a=b',
  fetchedAt: T0,
  checkedAt: T0 + 5,
  integrity: [
    { algorithm: 'sha512', hex: 'ab'.repeat(64) },
    { algorithm: 'sha1', hex: 'cd'.repeat(20) },
  ],
  coordinates: { ecosystem: 'npm', name: '@scope/name', version: '1.0.0' },
  facts: { publishedAt: T0 - 1, licenses: ['MIT OR "x"'], deprecated: false, exoticDependencies: ['git+ssh://é'] },
  factsFrom: `${digestOf('document')} publishedAt`,
  attributes: { nested: { list: [1, 'two', false, { three: 3 }], text: "it's %_😀" }, empty: {} },
};

const KEYS = [
  'key',
  'Key',
  'KEY',
  'key ',
  ' key',
  'key/',
  'caf\u00e9',
  'cafe\u0301',
  'ａ',
  '😀',
  '😁',
  "it's; --",
  'a"b',
  'a\nb',
  '../key',
  '%',
  '%25',
  'x'.repeat(1000),
];

function makeEntry(fields: EntryFields): Entry {
  return {
    repository: 'npm',
    digest: digestOf(''),
    size: 1,
    mediaType: 'application/octet-stream',
    headers: {},
    fetchedAt: T0,
    checkedAt: T0,
    integrity: [],
    ...fields,
  };
}

async function keysOf(index: EntryIndex, repository: string, prefix: string): Promise<string[]> {
  return (await index.list(repository, { prefix, limit: 10_000 })).map(({ key }) => key);
}

/** Twenty callers put the same three keys at once; each brings its own copy. */
async function assertOneWinner(index: EntryIndex, replicas: readonly EntryIndex[]): Promise<void> {
  const keys = ['race.info', 'race.mod', 'race.zip'];
  const returned = await Promise.all(
    Array.from({ length: 20 }, (_, caller) =>
      (replicas[caller % replicas.length] as EntryIndex).putIfAbsent(
        // In different orders, so that drivers that lock row by row can run into each other.
        (caller % 2 === 0 ? keys : [...keys].reverse()).map((key) =>
          makeEntry({ key, digest: digestOf(`copy ${caller}`) }),
        ),
      ),
    ),
  );
  const winner = (await index.find('npm', 'race.info'))?.digest;
  assert.ok(winner !== undefined, 'expected one caller to win, found no entry');
  for (const key of keys) assert.equal((await index.find('npm', key))?.digest, winner, `the copy under ${key}`);
  for (const entries of returned) {
    assert.deepEqual(
      entries.map(({ digest }) => digest),
      [winner, winner, winner],
      'what a caller was told',
    );
  }
}

/** Sets that overlap in one key each: whoever wins, a set is there whole or not at all. */
async function assertWholeSets(replicas: readonly EntryIndex[]): Promise<void> {
  const sets = Array.from({ length: 12 }, (_, n) => [`chain/${n}`, `chain/${n + 1}`]);
  const index = replicas[0] as EntryIndex;
  await Promise.all(
    sets.map((keys, n) =>
      (replicas[n % replicas.length] as EntryIndex).putIfAbsent(
        keys.map((key) => makeEntry({ key, digest: digestOf(`set ${n}`) })),
      ),
    ),
  );
  for (const [n, keys] of sets.entries()) {
    const found = await Promise.all(keys.map((key) => index.find('npm', key)));
    const mine = found.filter((entry) => entry?.digest === digestOf(`set ${n}`)).length;
    assert.ok(mine === 0 || mine === 2, `expected all or nothing of a set, found ${mine} of 2 entries`);
  }
}

/** Sixteen callers count up one entry by what they read before: each number comes once, and so does each revision. */
async function assertNothingLost(replicas: readonly EntryIndex[]): Promise<void> {
  const callers = 16;
  const made = await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      const index = replicas[caller % replicas.length] as EntryIndex;
      for (let tries = 0; tries < 500; tries += 1) {
        const found = await index.find('npm', 'count');
        const size = (found?.size ?? 0) + 1;
        const put = [
          makeEntry({ key: 'count', size, digest: digestOf(`${size}`) }),
          makeEntry({ key: `of/${caller}` }),
        ];
        const expect = [{ key: 'count', digest: found?.digest }];
        const revision = await index.change({ repository: 'npm', expect, put, remove: [] });
        if (revision !== undefined) return revision;
      }
      throw new Error(`expected caller ${caller} to get through, found 500 refusals`);
    }),
  );
  const index = replicas[0] as EntryIndex;
  assert.equal((await index.find('npm', 'count'))?.size, callers, 'changes that were counted');
  assert.equal((await keysOf(index, 'npm', 'of/')).length, callers);
  assert.deepEqual(new Set(made), new Set(made.map((_, caller) => caller + 1)), 'the revisions that were made');
  assert.equal(await index.revision('npm'), callers);
}

/** Compares entries; a field that is `undefined` is the same as one that is absent, `null` is not. */
function assertSame(found: unknown, expected: unknown): void {
  assert.deepEqual(withoutUndefined(found), withoutUndefined(expected));
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(kept.map(([name, part]) => [name, withoutUndefined(part)]));
}

async function openFixture(factory: () => Promise<EntryIndexFixture> | EntryIndexFixture): Promise<OpenFixture> {
  const fixture = await factory();
  return { index: fixture.index, ...openDriver(fixture.index, fixture) };
}
